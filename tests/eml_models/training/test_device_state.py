"""The state of a device's libraries: the choice of kernels is put back."""

from __future__ import annotations

import pytest
import torch

from eml_models.training.device_state import chosen_kernels
from eml_models.training.kernels import Kernels

CUDA = torch.device("cuda")


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
