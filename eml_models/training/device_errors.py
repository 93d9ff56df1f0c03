"""Decides whether an error means that memory ran out, and whether the process can continue.

Called by processes that train or measure more than once: Ray's workers and the latency bench.
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
"""Words in the messages of torch, CUDA's driver, cuBLAS and cuDNN for a full device, in lower case."""

WORDS = (*DEVICE_WORDS, "out of memory", "can't allocate memory")
"""The same, and the words of torch's CPU allocator."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error or one of its causes says that a device or the host ran out of memory."""
    return _says(error, (torch.OutOfMemoryError, MemoryError), WORDS)


def is_out_of_device_memory(error: BaseException | None) -> bool:
    """Whether an error or one of its causes says that a device ran out of memory.

    On CUDA torch has its own error type for this. cuDNN and cuBLAS use their own words: if every engine of
    a search runs out of memory, the message says that no engine was found.
    """
    return _says(error, (torch.OutOfMemoryError,), DEVICE_WORDS)


def _says(
    error: BaseException | None, types: tuple[type[BaseException], ...], words: tuple[str, ...]
) -> bool:
    """Looks at the whole chain of causes: a failing graph capture hides the first error behind its own."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # ``raise error from error`` makes a circle
        seen.add(id(error))
        if isinstance(error, types) or any(word in _message_of(error) for word in words):
            return True
        error = error.__cause__ or error.__context__
    return False


def _message_of(error: BaseException) -> str:
    """The message in lower case; empty for an error of training code whose message cannot be made."""
    try:
        return str(error).lower()
    except Exception:  # of any type
        return ""


def is_broken(device: torch.device) -> bool:
    """Whether every later CUDA call of this process will fail.

    Some errors are permanent for a process: an illegal access, a failed assertion on the device, a memory
    error of the card, a card that is lost. The process must then end; another process may use the card.
    """
    if device.type != "cuda":
        return False
    try:
        torch.cuda.synchronize(device)
    except (RuntimeError, AssertionError):  # the second from a torch that was built without CUDA
        return True
    return False
