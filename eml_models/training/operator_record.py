"""Records the operators of a piece of torch code: which they are, and whether they wait for the device.

A graph repeats the operators of the step that was captured, with the same memory and the same plain numbers.
`eml_models.training.step_graph` compares the records of two steps first: if they differ, or if an operator
waits, the step cannot be a graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

COPIES = (torch.ops.aten._to_copy, torch.ops.aten.copy_)
"""The operators that copy from one device to another, as no kernel does."""

SMALL = 64
"""The most values of a tensor that are compared."""

Described = tuple[Any, ...]
"""An operator with its arguments as plain values."""


class OperatorRecord(TorchDispatchMode):
    """A context that records each operator, in the backward pass too.

    Args:
        device_type: the device of the work; other devices are foreign to it.

    Attributes:
        operators: of each operator its name and its arguments. A tensor is described by its type, shape and
            strides, and by its address if the recorded code did not make it.
        waiting: the name of the first operator for which the host waits for the device, or which works on
            another device; None if there is none.
    """

    def __init__(self, device_type: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's class has no types
        self._device_type = device_type
        self._made: set[int] = set()
        # kept until the comparison, so that no later tensor can come to lie at the same address
        self._found: list[torch.Tensor] = []
        self.operators: list[Described] = []
        self.waiting: str | None = None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keeps torch from wrapping the method below: the wrapper's first call imports torch's compiler."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        described: Described = (str(func), self._describe(args), self._describe(kwargs))
        if func.overloadpacket is torch.ops.aten.lift_fresh:  # of a tensor that Python code has just made
            described = (str(func), _numbers_in(args[0]))
        self.operators.append(described)
        out = func(*args, **kwargs)
        if self.waiting is None and self._waits(func, args, kwargs, out):
            self.waiting = str(func)
        self._made.update(tensor.data_ptr() for tensor in _tensors_in(out) if _has_address(tensor))
        return out

    def _describe(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self._describe_tensor(value)
        if isinstance(value, Mapping):
            return tuple((name, self._describe(inner)) for name, inner in value.items())
        if isinstance(value, list | tuple):
            return tuple(self._describe(inner) for inner in value)
        if isinstance(value, torch.Generator):
            return id(value)
        return value if isinstance(value, int | float | bool | str | None) else str(value)

    def _describe_tensor(self, tensor: torch.Tensor) -> Described:
        described: Described = (str(tensor.dtype), tuple(tensor.shape), tensor.device.type)
        if tensor.layout is torch.strided:
            described += (tensor.stride(),)
        if self._is_number(tensor) and _has_address(tensor):  # a kernel takes its value at the launch
            return (*described, tensor.item())
        is_made = not _has_address(tensor) or tensor.data_ptr() in self._made
        if is_made:
            return described
        self._found.append(tensor)
        return (*described, tensor.data_ptr())

    def _is_number(self, tensor: torch.Tensor) -> bool:
        """Whether the host knows the tensor's value without waiting for the device."""
        return tensor.device.type == "cpu" != self._device_type and tensor.ndim == 0

    def _waits(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> bool:
        tags = set(func.tags)
        if torch.Tag.data_dependent_output in tags:
            return not self._reads_a_number(args)
        if torch.Tag.dynamic_output_shape in tags:
            return func.overloadpacket is not torch.ops.aten.index or _has_mask(args)
        return self._leaves_the_device(func, args, kwargs, out)

    def _reads_a_number(self, args: Sequence[Any]) -> bool:
        return all(self._is_number(tensor) for tensor in _tensors_in(args))

    def _leaves_the_device(self, func: Any, args: Any, kwargs: Any, out: Any) -> bool:
        """Whether tensors of two devices meet, or a tensor of another device is written."""
        foreign = [t for t in _tensors_in(out) if t.device.type != self._device_type]
        taken = [*_tensors_in(args), *_tensors_in(kwargs)]
        if func.overloadpacket not in COPIES:
            taken = [tensor for tensor in taken if not self._is_number(tensor)]
        kinds = {tensor.device.type for tensor in (*taken, *_tensors_in(out))}
        return (len(kinds) > 1 and self._device_type in kinds) or bool(foreign and func._schema.is_mutable)


def difference(before: OperatorRecord, after: OperatorRecord) -> str | None:
    """The name of the first operator in which two records differ; None if they are equal."""
    for old, new in zip(before.operators, after.operators, strict=False):
        if old != new:
            return str(new[0])
    longer = max(before.operators, after.operators, key=len)
    shorter = min(len(before.operators), len(after.operators))
    return str(longer[shorter][0]) if len(longer) > shorter else None


def _numbers_in(tensor: torch.Tensor) -> object:
    """The values of a small tensor of the host."""
    is_small = tensor.device.type == "cpu" and tensor.numel() <= SMALL and _has_address(tensor)
    return tensor.tolist() if is_small else tuple(tensor.shape)


def _has_mask(args: Sequence[Any]) -> bool:
    """Whether an index is a mask, whose number of true values the host must know."""
    return any(tensor.dtype in (torch.bool, torch.uint8) for tensor in _tensors_in(args[1:]))


def _has_address(tensor: torch.Tensor) -> bool:
    return tensor.layout is torch.strided and type(tensor) in (torch.Tensor, torch.nn.Parameter)


def _tensors_in(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for inner in value for tensor in _tensors_in(inner)]
    return []
