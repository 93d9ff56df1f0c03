"""Counts the MACs of a built module with fvcore: the independent check of what a plan says.

Slow (some 100 ms a module): a search sums plans, tests and doubters count. It must agree to the unit.
"""

from __future__ import annotations

import warnings
from collections import Counter

import torch
from torch import nn

from eml_models.errors import InvalidValueError

COUNTED = ("conv", "linear")
"""fvcore's names of the operators in which one multiply-add counts as 1 MAC. (fvcore calls MACs "flops".)"""

OTHER_PRODUCTS = ("addmm", "matmul", "bmm", "baddbmm", "einsum")
"""Operators that multiply and add as well, but that no plan holds: refused rather than left out silently."""


def count_macs(module: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Multiply-adds of the convolutions and linear layers of `module` for one image, in eval mode.

    Left out, as everywhere here: batch norm (fvcore's ``.total()`` has it), activations, pooling, additions
    and biases. The module is left as it was found.

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
            "MACs are those of convolutions and linear layers, but this module also runs "
            f"{', '.join(others)}; write them as nn.Linear or nn.Conv2d"
        )
    return sum(operators[name] for name in COUNTED)


def _count_operators(module: nn.Module, input_shape: tuple[int, int, int]) -> Counter[str]:
    weight = next(module.parameters(), torch.empty(0))
    image = torch.zeros(1, *input_shape, device=weight.device, dtype=weight.dtype)
    training = {part: part.training for part in module.modules()}
    try:
        with warnings.catch_warnings():
            # fvcore imports and uses torch.jit, which is deprecated: its matter, not the caller's.
            warnings.simplefilter("ignore")
            from fvcore.nn import FlopCountAnalysis

            analysis = FlopCountAnalysis(module.eval(), image)
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
            return Counter({str(name): int(count) for name, count in analysis.by_operator().items()})
    finally:
        for part, was_training in training.items():
            part.training = was_training
