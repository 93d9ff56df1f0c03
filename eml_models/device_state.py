"""What torch keeps per process and device: its generators, cuDNN's search, the memory peak.

A worker trains many recipes in one process, so whatever the training loop changes here it puts back.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's own generators, which draw weights and dropout, seeded inside and put back as they were."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        # not torch.manual_seed, which seeds every device of the process
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def cudnn_benchmark(device: torch.device) -> Iterator[None]:
    """On CUDA, cuDNN tries its algorithms once for each shape; an epoch has at most four."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def peak_memory_bytes(device: torch.device) -> int:
    """On CUDA the most allocated since the peak was last reset; else the most the process ever held."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
