"""The state of a device's libraries: the choice of kernels is put back; memory that others hold."""

from __future__ import annotations

import pytest
import torch

from eml_models.training.device_state import bytes_of_others, chosen_kernels
from eml_models.training.kernels import Kernels

CUDA = torch.device("cuda")
GB = 10**9


def test_kernels_are_put_back_after_an_error() -> None:
    def fail_while_searching() -> None:
        with chosen_kernels(CUDA, Kernels.SEARCHED):
            assert torch.backends.cudnn.benchmark
            raise RuntimeError("x")

    with pytest.raises(RuntimeError, match="x"):
        fail_while_searching()
    assert not torch.backends.cudnn.benchmark


def test_a_program_that_only_warns_of_other_kernels_still_warns() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with chosen_kernels(CUDA, Kernels.DETERMINISTIC):
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("free", "reserved", "others"),
    [
        (79.3, 0.0, 0.0),  # the context of this process
        (76.0, 3.0, 0.0),  # what an earlier trial of this process has left
        (49.0, 0.0, 31.0),
        (44.0, 5.0, 31.0),
    ],
)
def test_memory_that_strangers_hold_is_what_is_neither_free_nor_of_this_process(
    monkeypatch: pytest.MonkeyPatch, free: float, reserved: float, others: float
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free * GB), 80 * GB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: int(reserved * GB))
    assert bytes_of_others(CUDA) == pytest.approx(others * GB, abs=1.2 * GB)


def test_memory_of_a_card_that_does_not_answer_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(device: torch.device) -> None:
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable")

    monkeypatch.setattr(torch.cuda, "mem_get_info", refuse)
    assert bytes_of_others(CUDA) is None
