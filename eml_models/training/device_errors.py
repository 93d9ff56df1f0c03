"""What an error of a device means: whether memory ran out, and whether the process can go on.

Called where a process trains or measures more than once: in Ray's workers and in the latency bench.
"""

from __future__ import annotations

import torch

DEVICE_WORDS = (
    "cuda out of memory",
    "cuda error: out of memory",
    "cuda_error_out_of_memory",
    "alloc_failed",
    "unable to find an engine to execute this computation",
)
"""Words of torch, CUDA's driver, cuBLAS and cuDNN for a device without free memory, in lower case."""

WORDS = (*DEVICE_WORDS, "out of memory", "can't allocate memory")
"""Those, and the words of torch's CPU allocator."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error or its cause says that a device's or the host's memory did not suffice."""
    return _says(error, (torch.OutOfMemoryError, MemoryError), WORDS)


def is_out_of_device_memory(error: BaseException | None) -> bool:
    """Whether an error or its cause says that a device's memory did not suffice.

    On CUDA torch has a type of its own for it. cuDNN and cuBLAS have their own words, and a search in which
    every engine ran out of memory ends as a search that found none.
    """
    return _says(error, (torch.OutOfMemoryError,), DEVICE_WORDS)


def _says(
    error: BaseException | None, types: tuple[type[BaseException], ...], words: tuple[str, ...]
) -> bool:
    """A capture that fails hides the first error behind that of its end, so the whole chain is looked at."""
    while error is not None:
        if isinstance(error, types) or any(word in str(error).lower() for word in words):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_broken(device: torch.device) -> bool:
    """Whether every later CUDA call of this process will fail.

    Some errors stay: an illegal access, a failed assertion on the device, a memory error of the card. The
    process has to end then; another one can use the card.
    """
    if device.type != "cuda":
        return False
    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        return True
    return False
