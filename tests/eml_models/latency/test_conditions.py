"""What a device answers about itself, with a GPU's answers played, in a process that has imported nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from eml_models.latency.measuring.conditions import read_conditions

A_GPU_ANSWERS = """
import torch

torch.cuda.device_count = lambda: 1
torch.cuda.get_device_name = lambda device=None: "A100"
torch.cuda.get_device_capability = lambda device=None: (8, 0)
torch.cuda.clock_rate = lambda device=None: 1410
"""


def run_on_a_played_gpu(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", A_GPU_ANSWERS + code], capture_output=True, text=True, check=True
    ).stdout


def test_a_gpu_is_asked_for_what_it_can_do_in_a_fresh_process() -> None:
    found = run_on_a_played_gpu("""
from eml_models.latency.measuring.conditions import find_capabilities, require_device
from eml_models.latency.measuring.modes import parse_mode, unsupported_reason

capabilities = find_capabilities(require_device("cuda"))
print(capabilities.name, capabilities.compute_capability, type(capabilities.has_triton).__name__)
print(unsupported_reason(parse_mode("fp16-weights/graph"), capabilities))
""")
    assert found.splitlines() == ["A100 (8, 0) bool", "None"]


def test_a_clock_that_cannot_be_read_is_none_whatever_the_library_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NVMLError(Exception):
        pass

    def failing(device: torch.device) -> int:
        raise NVMLError("libnvidia-ml.so.1 not found")

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch.cuda, "clock_rate", lambda device: 1410)
    assert read_conditions(torch.device("cuda")).clock_mhz == 1410
    monkeypatch.setattr(torch.cuda, "clock_rate", failing)
    assert read_conditions(torch.device("cuda")).clock_mhz is None
