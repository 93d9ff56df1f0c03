"""How far the logits of a network may be from fp32's for no reason but the rounding of a precision.

Each value that is rounded is off by at most its type's unit roundoff u, and what comes of n roundings one
after the other grows with the square root of n, since they are as often up as down. Left out: values that a
type cannot hold at all, and how a network's last layers cancel what its first ones made. Called by `deploy`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import nn

from eml_models.latency.measuring.modes import Precision
from eml_models.training.exporting import FP32_TOLERANCE

UNIT_ROUNDOFF: Mapping[Precision, float] = {
    Precision.CONV_TF32: 2.0**-11,
    Precision.TF32: 2.0**-11,
    Precision.FP16: 2.0**-11,
    Precision.BF16: 2.0**-8,
}
"""Half the distance of 1 to the next number: 10 bits follow the point in TF32 and fp16, 7 in bf16."""

CONFIDENCE = 3.0
"""The bound holds for a value with a probability of 1 - 2 exp(-CONFIDENCE**2 / 2) = 0.978 where every
rounding is as bad as it can be; roundings as they are, evenly spread, are off by 0.4 u, so that it is 7 of
their standard deviations."""

EXACT = (nn.Identity, nn.Dropout, nn.Flatten, nn.ReLU, nn.ReLU6, nn.Hardtanh)
"""Layers whose outputs need no rounding."""

WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear)


def bound_error(module: nn.Module, precision: Precision) -> float:
    """The largest difference of a logit that rounding explains, as a share of the largest logit.

    Source: Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis, SIAM J. Sci. Comput. 41
    (2019), theorem 2.4: exp(lambda sqrt(n) u + n u**2 / (1 - u)) - 1.
    """
    if precision is Precision.FP32:
        return FP32_TOLERANCE  # its own roundings are next to nothing; its kernels compute by other formulas
    roundoff, n = UNIT_ROUNDOFF[precision], count_roundings(module)
    return math.expm1(CONFIDENCE * math.sqrt(n) * roundoff + n * roundoff**2 / (1 - roundoff))


def count_roundings(module: nn.Module) -> int:
    """How often what comes out of a network was rounded on its way: each layer's output, and its weights.

    Products within a layer are summed in fp32 and not counted. Layers of a shortcut are counted as if they
    stood in the way of the others.
    """
    leaves = [part for part in module.modules() if not any(part.children())]
    outputs = sum(not isinstance(part, EXACT) for part in leaves)
    return outputs + sum(isinstance(part, WEIGHTED) for part in leaves)
