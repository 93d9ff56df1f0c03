"""Errors of devices: too little memory by the words of each library, and a broken device."""

from __future__ import annotations

import pytest
import torch

from eml_models.training.device_errors import is_broken, is_out_of_device_memory, is_out_of_memory

CUDA = torch.device("cuda")


@pytest.mark.parametrize(
    ("error", "of_device"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("GET was unable to find an engine to execute this computation"), True),
        (MemoryError("no room"), False),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), False),
    ],
)
def test_each_librarys_words_for_no_memory_are_known(error: Exception, of_device: bool) -> None:
    assert is_out_of_memory(error)
    assert is_out_of_device_memory(error) is of_device
    later = ValueError("the step failed")
    later.__cause__ = error
    assert is_out_of_memory(later)
    assert not is_out_of_memory(RuntimeError("an illegal memory access was encountered"))


def test_a_device_whose_calls_all_fail_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: object = None) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    assert not is_broken(torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    assert not is_broken(CUDA)
    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    assert is_broken(CUDA)


class Unprintable(Exception):
    """An error whose message cannot be made."""

    def __str__(self) -> str:
        raise KeyError("no message")


@pytest.mark.parametrize("error", [ValueError("bad"), Unprintable()])
def test_a_cause_of_itself_is_looked_at_once(error: Exception) -> None:
    """``raise error from error`` and a circle of causes would be looked at for ever."""
    error.__cause__ = other = RuntimeError("step")
    other.__context__ = error
    assert not is_out_of_memory(error)
    assert not is_out_of_device_memory(error)
    other.__cause__ = MemoryError("no room")
    assert is_out_of_memory(error)
