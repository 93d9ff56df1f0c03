"""Keeps the torch of a worker's process within its share of a GPU's memory.

Ray only counts fractions of a GPU: without this a trial could take the whole device.
`tune_jobs.on_ray.worker.trainable` calls it.
"""

from __future__ import annotations

from tune_jobs.errors import TuneJobsError

CONTEXT_BYTES = 600 << 20
"""Bytes of a process beside torch's allocator (CUDA's context, the libraries' kernels), if not measured.

An estimate: the number differs by card, driver and build, and `auto` measures it."""


def hold_to_share(share: float, beside_bytes: int = CONTEXT_BYTES) -> None:
    """Let torch take no more than this share of the process's GPU; called in a worker before each trial.

    Raises:
        TuneJobsError: Ray gave a GPU and torch sees none, or a CUDA context alone fills the share.
    """
    import torch

    if not torch.cuda.is_available():
        raise TuneJobsError(
            "Ray gave this worker a GPU and torch sees none: the node's torch is built without CUDA, or the"
            " node's driver is too old for it, or the card is lost (nvidia-smi shows it). Use the image of"
            " docker/ on GPU nodes, or give --device cpu"
        )
    total = torch.cuda.get_device_properties(0).total_memory
    fraction = 1.0 if share >= 1 else memory_fraction(share, total, beside_bytes)
    torch.cuda.set_per_process_memory_fraction(fraction)


def memory_fraction(share: float, total_bytes: int, beside_bytes: int = CONTEXT_BYTES) -> float:
    """The part of a device's memory that torch may take in a process with this share of the device.

    Raises:
        TuneJobsError: a CUDA context alone fills the share.
    """
    fraction = share - beside_bytes / total_bytes
    if fraction <= 0:
        raise TuneJobsError(
            f"{share:g} of a GPU with {total_bytes / 1e9:.1f} GB is no more than a CUDA context takes"
            f" ({beside_bytes / 1e9:.1f} GB), and leaves no memory for training; raise --gpus-per-trial"
        )
    return fraction
