"""The state that torch keeps per process and device: generators, choice of kernels, memory peak.

A worker trains many recipes in one process, so the training loop restores every state that it changes.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from eml_models.training.kernels import Kernels, prepare_process

OWN_BYTES = 1 << 30
"""What a process takes of a CUDA device beside torch's memory, at most once it has begun: its context."""


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's own generators, which draw weights and dropout; restore them afterwards."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        # not torch.manual_seed, which seeds every device of the process
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def chosen_kernels(device: torch.device, kernels: Kernels) -> Iterator[None]:
    """Set how torch and cuDNN choose their kernels on CUDA; restore the earlier choice afterwards."""
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = (
        cudnn.benchmark,
        cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    deterministic = kernels is Kernels.DETERMINISTIC
    prepare_process(kernels)
    _set_kernels(kernels is Kernels.SEARCHED, deterministic, deterministic)
    try:
        yield
    finally:
        _set_kernels(*before)


def _set_kernels(
    search: bool, deterministic_cudnn: bool, deterministic_torch: bool, warn_only: bool = False
) -> None:
    torch.backends.cudnn.benchmark = search
    torch.backends.cudnn.deterministic = deterministic_cudnn
    torch.use_deterministic_algorithms(deterministic_torch, warn_only=warn_only)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work; on a CPU there is nothing to wait for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def bytes_of_others(device: torch.device) -> int | None:
    """Bytes of a CUDA device that other processes hold, without small amounts; None if it does not say so.

    To be asked before a training. A process that has used the device keeps loaded kernels there, so up to 2
    GiB count as this process's own.
    """
    try:
        free, total = torch.cuda.mem_get_info(device)
        held = total - free - torch.cuda.memory_reserved(device)
    except RuntimeError:  # a card that does not work is for the training to say
        return None
    return held - OWN_BYTES if held > 2 * OWN_BYTES else 0


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory allocated since the last reset of the peak on CUDA; the process's peak on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
