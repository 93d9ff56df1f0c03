"""Holds the torch of a worker's process to its share of a GPU's memory.

Ray's fractions of a GPU are bookkeeping: nothing else keeps a trial from taking the whole device.
"""

from __future__ import annotations

from tune_jobs.errors import TuneJobsError

CONTEXT_BYTES = 600 << 20
"""Of a process beside torch's allocator, where nothing was measured: CUDA's context and the libraries'
kernels. An estimate; it differs by card, driver and build, and `auto` measures it."""


def hold_to_share(share: float, beside_bytes: int = CONTEXT_BYTES) -> None:
    """Let torch take no more of this process's GPU than a share of it; called in a worker before it trains.

    Raises:
        TuneJobsError: Ray gave a GPU and torch sees none, or the share holds no more than a context.
    """
    import torch

    if not torch.cuda.is_available():
        raise TuneJobsError(
            "Ray gave this worker a GPU and torch sees none: the node's torch is built without CUDA, or its"
            " driver is too old for it. Use the image of docker/ on GPU nodes, or --device cpu"
        )
    total = torch.cuda.get_device_properties(0).total_memory
    fraction = 1.0 if share >= 1 else memory_fraction(share, total, beside_bytes)
    torch.cuda.set_per_process_memory_fraction(fraction)


def memory_fraction(share: float, total_bytes: int, beside_bytes: int = CONTEXT_BYTES) -> float:
    """The part of a device's memory that torch may take in a process with this share of it.

    Raises:
        TuneJobsError: a CUDA context alone takes that much.
    """
    fraction = share - beside_bytes / total_bytes
    if fraction <= 0:
        raise TuneJobsError(
            f"{share:g} of a GPU with {total_bytes / 1e9:.1f} GB is no more than a CUDA context takes"
            f" ({beside_bytes / 1e9:.1f} GB); raise --gpus-per-trial"
        )
    return fraction
