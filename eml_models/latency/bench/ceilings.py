"""A device's own ceilings, measured: the products and the bytes per second that it reaches.

The roofline needs them: no data sheet has a CPU's rates, and a GPU's clocks differ from its data sheet's.
Products are measured by the quickest of some square matrix products, bytes by adding two arrays into a
third, for working sets from cache to memory. On a CPU the networks' threads are used. It takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch

from eml_models.latency.counting.roofline import Ceilings
from eml_models.latency.measuring.conditions import find_capabilities
from eml_models.latency.measuring.modes import Precision
from eml_models.latency.measuring.timing import time_calls

SIDES = {"cpu": (512, 1024), "cuda": (4096, 8192)}
"""Sides of the square matrices: large enough to reach the peak, small enough for a few milliseconds."""

WORKING_SETS = {
    "cpu": (256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20),
    "cuda": (1 << 30,),  # a GPU's cache is not distinguished: launches would hide it
}
"""Bytes of the three arrays together."""

SECONDS = 0.15
"""Time that each rate is measured for."""


def measure_ceilings(device: torch.device) -> Ceilings:
    """The ceilings of a device; of a CPU with torch's current number of threads."""
    dtypes = {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16}
    if device.type == "cuda":
        dtypes[Precision.FP16] = torch.float16
    flops = {precision: _measure_flops(device, dtype) for precision, dtype in dtypes.items()}
    rates = [(float(size), _measure_bandwidth(device, size)) for size in WORKING_SETS[device.type]]
    rates[-1] = (math.inf, rates[-1][1])
    return Ceilings(name=find_capabilities(device).name, flops=flops, bandwidth=tuple(rates))


def _measure_flops(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP per second; a multiply-add is two."""
    best = 0.0
    for side in SIDES[device.type]:
        left, right = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
        out = torch.empty(side, side, dtype=dtype, device=device)
        seconds = _best_time(device, partial(torch.mm, left, right, out=out))
        best = max(best, 2 * side**3 / seconds)
    return best


def _measure_bandwidth(device: torch.device, num_bytes: int) -> float:
    """Bytes read and written per second in a working set of `num_bytes`."""
    # drawn: memory moves zeros at a rate that no network's maps reach
    left, right, out = (torch.rand(num_bytes // 12, device=device) for _ in range(3))
    return num_bytes / _best_time(device, partial(torch.add, left, right, out=out))


def _best_time(device: torch.device, call: Callable[[], object]) -> float:
    """The quickest call: a ceiling is what the device can reach, not what it does under load."""
    call()
    return min(time_calls(call, device, seconds=SECONDS))
