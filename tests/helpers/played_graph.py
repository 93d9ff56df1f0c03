"""Graphs without a GPU: the operators of a step are recorded, and a replay calls them on the same memory.

As in a CUDA graph, nothing of the step's Python code runs in a replay: a plain number, a branch or a tensor
that Python code has chosen stays as it was in the capture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Operators(TorchDispatchMode):
    """Calls all operators of a context, and notes them with the tensors that the context found."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Sequence[Any], Mapping[str, Any], Any]] = []
        self._made: set[int] = set()
        self._found: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        for tensor in _tensors((args, kwargs)):
            place = _place(tensor)
            if place not in self._made and place not in self._found:
                whole = tensor.detach().as_strided(
                    (tensor.untyped_storage().nbytes() // tensor.itemsize,), (1,), 0
                )
                self._found[place] = whole, whole.clone()
        out = func(*args, **kwargs)
        self._made.update({_place(t) for t in _tensors(out)} - self._found.keys())
        self.calls.append((func, args, kwargs, out))
        return out

    @torch.no_grad()
    def undo(self) -> None:
        """Put back all values that the context found."""
        for now, before in self._found.values():
            now.copy_(before)

    @torch.no_grad()
    def replay(self) -> None:
        """Call the operators again; each writes its results to where they were at first."""
        for func, args, kwargs, out in self.calls:
            for old, new in zip(tree_leaves(out), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, torch.Tensor) and old is not new and _place(old) != _place(new):
                    old.copy_(new)


class Played:
    """A capturer of `eml_models.training.step_graph` on a CPU.

    Args:
        fails: called in each capture after its step; may raise.
    """

    device_type = "cpu"

    def __init__(self, fails: Callable[[], None] = lambda: None) -> None:
        self.captures = self.replays = self.releases = 0
        self.is_capturing = False
        self._fails = fails

    @contextmanager
    def working(self) -> Iterator[None]:
        yield

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """As on CUDA, a capture changes nothing on the device, whether it succeeds or not."""
        self.captures += 1
        operators = Operators()
        self.is_capturing = True
        try:
            with operators:
                work()
                self._fails()
        finally:
            self.is_capturing = False
            operators.undo()

        def replay() -> None:
            self.replays += 1
            operators.replay()

        return replay

    def release(self) -> None:
        self.releases += 1


def _place(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor) and leaf.numel()]
