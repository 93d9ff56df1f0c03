"""Counts the MACs of a built module with fvcore: the independent check of what a plan says.

Slow (about 100 ms per module), so a search sums plans instead, and tests check that both numbers are equal.
"""

from __future__ import annotations

import warnings
from collections import Counter

import torch
from torch import nn

from eml_models.errors import InvalidValueError

COUNTED = ("conv", "linear")
"""fvcore's names of the operators whose multiply-adds are counted. (fvcore calls MACs "flops".)"""

OTHER_PRODUCTS = ("addmm", "matmul", "bmm", "baddbmm", "einsum")
"""Operators that also multiply and add, but are in no plan: they are refused, never silently left out."""


def count_macs(module: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Count the multiply-adds of the convolutions and linear layers of `module` for one image, in eval mode.

    Not counted, as in plans: batch norm (fvcore's ``.total()`` counts it), activations, pooling, additions
    and biases. The module keeps its mode and its weights.

    Args:
        module: built, not on the meta device (fvcore runs it once).
        input_shape: (channels, height, width).

    Raises:
        InvalidValueError: the module computes matrix products outside convolutions and linear layers.
    """
    operators = _count_operators(module, input_shape)
    others = sorted(name for name in OTHER_PRODUCTS if operators[name])
    if others:
        raise InvalidValueError(
            "MACs are counted in convolutions and linear layers only, but this module also runs "
            f"{', '.join(others)}; write these products as nn.Linear or nn.Conv2d"
        )
    return sum(operators[name] for name in COUNTED)


def _count_operators(module: nn.Module, input_shape: tuple[int, int, int]) -> Counter[str]:
    weight = next(module.parameters(), torch.empty(0))
    image = torch.zeros(1, *input_shape, device=weight.device, dtype=weight.dtype)
    training = {part: part.training for part in module.modules()}
    try:
        with warnings.catch_warnings():
            # fvcore uses torch.jit, which is deprecated; the caller cannot change that.
            warnings.simplefilter("ignore")
            from fvcore.nn import FlopCountAnalysis

            analysis = FlopCountAnalysis(module.eval(), image)
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
            return Counter({str(name): int(count) for name, count in analysis.by_operator().items()})
    finally:
        for part, was_training in training.items():
            part.training = was_training
