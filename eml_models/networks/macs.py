"""Counts the MACs of a built module with fvcore, of any `nn.Module`.

It is the independent check of what a plan says, and the way to the MACs of a network without a plan, such as
torchvision's. Slow (about 100 ms for each module), so a search of shipped networks sums plans instead, and
tests check that both numbers are equal. Called in functions of costs (`Study(cost=...)`), and by tests.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from eml_models.errors import InvalidValueError
from eml_models.wording import first_line

COUNTED = ("conv", "linear")
"""fvcore's names of the operators whose multiply-adds are counted. (fvcore calls MACs "flops".)"""

OTHER_PRODUCTS = frozenset(
    (
        *(
            "addbmm",
            "addmm",
            "addmv",
            "baddbmm",
            "bilinear",
            "bmm",
            "chain_matmul",
            "dot",
            "einsum",
            "matmul",
        ),
        *("mm", "mv", "outer", "tensordot", "_trilinear", "conv_tbc", "cdist"),
        *("scaled_dot_product_attention", "_native_multi_head_attention", "_transformer_encoder_layer_fwd"),
        *("gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell"),
    )
)
"""Operators that multiply and add as well, and are not counted: a warning names them."""

OWN_FUNCTION = "PythonOp."
"""Stands before the name of an autograd function of the user's own, in which nobody can look."""


def count_macs(module: nn.Module, input_shape: Sequence[int]) -> int:
    """Count the multiply-adds of the convolutions and linear layers of `module` for one input, in eval mode.

    Not counted, as in plans: batch norm (fvcore's ``.total()`` counts it), activations, pooling, additions
    and biases. Matrix products in other places, attention and recurrent layers are not counted either; a
    warning (`UserWarning`) names each kind that the module runs. A layer that runs twice counts twice. The
    module keeps its mode and its weights.

    As a limit of a search: ``Study(cost=lambda params: {"macs": count_macs(build(params), (3, 32, 32))},
    limits={"macs": 30e6}, ...)``.

    Args:
        module: built, not on the meta device (fvcore runs it once).
        input_shape: of one input, without the batch: (channels, height, width) of an image.

    Raises:
        InvalidValueError: it is no module, or it cannot be run on zeros of this shape.
    """
    if not isinstance(module, nn.Module):
        raise InvalidValueError(f"MACs are counted of an nn.Module, got {type(module).__name__}; build it")
    operators = _count_operators(module, input_shape)
    others = sorted(name for name in operators if name in OTHER_PRODUCTS or name.startswith(OWN_FUNCTION))
    if others:
        warnings.warn(
            f"the MACs of {type(module).__name__} are those of its convolutions and linear layers; it also"
            f" runs {', '.join(others)}, which are not counted",
            stacklevel=2,
        )
    return sum(operators.get(name, 0) for name in COUNTED)


def _count_operators(module: nn.Module, input_shape: Sequence[int]) -> dict[str, int]:
    """The multiply-adds of each operator that fvcore counts; 0 for an operator that it does not count."""
    image = _zeros(module, input_shape)
    with _in_eval_mode(module), warnings.catch_warnings():
        # fvcore uses torch.jit, which is deprecated; the caller cannot change that.
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(_TensorsOf(module), image)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        try:
            counted = analysis.by_operator()
        except Exception as error:  # the user's forward may raise anything
            raise InvalidValueError(
                f"{type(module).__name__} cannot be run on zeros of shape {tuple(image.shape)}, so its MACs"
                f" are unknown: {type(error).__name__}: {first_line(error)}"
            ) from error
        left_out = dict.fromkeys(map(_plain_name, analysis.unsupported_ops()), 0)
        return {**left_out, **{str(name): int(count) for name, count in counted.items()}}


def _plain_name(operator: str) -> str:
    """``lstm`` for ``aten::lstm``."""
    return operator.rpartition("::")[2]


def _zeros(module: nn.Module, input_shape: Sequence[int]) -> Tensor:
    """A batch of one input, of the kind of the module's weights."""
    sides = tuple(input_shape) if isinstance(input_shape, Sequence) else (input_shape,)
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise InvalidValueError(
            f"input_shape must be whole numbers above 0, such as (3, 32, 32), got {input_shape!r}"
        )
    weight = next(module.parameters(), torch.empty(0))
    if weight.is_meta:
        raise InvalidValueError(
            f"MACs are counted by running the module, and {type(module).__name__} is on the meta device;"
            " build it on the CPU"
        )
    return torch.zeros(1, *sides, device=weight.device, dtype=weight.dtype)


@contextmanager
def _in_eval_mode(module: nn.Module) -> Iterator[None]:
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, was_training in training.items():
            part.training = was_training


class _TensorsOf(nn.Module):
    """Runs a module and returns the tensors of its answer, which may be a dictionary or a named tuple."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(_iter_tensors(self.module(image)))


def _iter_tensors(answer: Any) -> Iterator[Tensor]:
    if isinstance(answer, Tensor):
        yield answer
    elif isinstance(answer, Mapping):
        for value in answer.values():
            yield from _iter_tensors(value)
    elif isinstance(answer, list | tuple):
        for value in answer:
            yield from _iter_tensors(value)
