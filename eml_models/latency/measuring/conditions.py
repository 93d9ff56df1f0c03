"""What a timing depends on besides network and mode: device, versions, clocks, threads, allocator, load.

Read when a measurement is made and kept with it. What cannot be read is None, never guessed.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from eml_models.errors import InvalidValueError
from eml_models.latency.measuring.modes import Capabilities

ALLOCATOR_VARIABLES = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "LD_PRELOAD", "GLIBC_TUNABLES")
DEFAULT_ALLOCATOR = "default"
KEEPING_MEMORY: Mapping[str, str] = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
}
"""Lets glibc keep freed memory instead of giving it back to the kernel; read by glibc when a process starts.

By default each map of more than 128 KiB (later up to 32 MiB) is a fresh mmap whose pages fault one by one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The conditions of a measurement.

    Attributes:
        clock_mhz: of the device when it was read, None where it cannot be.
        load_average: processes that wanted to run over the last minute.
    """

    device: str
    device_name: str
    torch_version: str
    cudnn_version: int | None
    threads: int
    allocator: str
    clock_mhz: float | None
    load_average: float | None


def read_conditions(device: torch.device) -> Conditions:
    """The conditions as they are now."""
    return Conditions(
        device=device.type,
        device_name=find_capabilities(device).name,
        torch_version=torch.__version__,
        cudnn_version=torch.backends.cudnn.version() if device.type == "cuda" else None,
        threads=torch.get_num_threads(),
        allocator=describe_allocator(os.environ),
        clock_mhz=_cuda_clock(device) if device.type == "cuda" else _cpu_clock(),
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def require_device(text: str) -> torch.device:
    """The device of that name; a CPU has no index.

    Raises:
        InvalidValueError: there is none; says what this machine has.
    """
    present = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    try:
        device = torch.device(text)
    except RuntimeError as error:
        raise InvalidValueError(f"unknown device {text!r}; this machine has {', '.join(present)}") from error
    known = str(device) if device.index is not None or device.type == "cpu" else f"{device.type}:0"
    if known not in present:
        raise InvalidValueError(f"there is no device {text!r}; this machine has {', '.join(present)}")
    return device


def find_capabilities(device: torch.device) -> Capabilities:
    """What the device and this machine have, for `modes.unsupported_reason`."""
    if device.type == "cuda":
        return Capabilities(
            kind="cuda",
            name=torch.cuda.get_device_name(device),
            compute_capability=torch.cuda.get_device_capability(device),
            compiler=find_compiler(),
            has_triton=importlib.util.find_spec("triton") is not None,
        )
    return Capabilities(kind="cpu", name=_cpu_name(), compiler=find_compiler())


def find_compiler() -> str | None:
    """The C++ compiler that torch.compile would use."""
    return next((found for name in (os.environ.get("CXX"), "g++", "clang++") if name
                 and (found := shutil.which(name))), None)  # fmt: skip


def describe_allocator(environment: Mapping[str, str]) -> str:
    """The allocator of a process that was started in an environment: ``default``, or what changes it."""
    found = [f"{name}={environment[name]}" for name in ALLOCATOR_VARIABLES if environment.get(name)]
    return " ".join(found) or DEFAULT_ALLOCATOR


def _cpu_name() -> str:
    fields = _read_cpu_fields()
    return fields.get("model name") or platform.processor() or platform.machine()


def _cpu_clock() -> float | None:
    text = _read_cpu_fields().get("cpu MHz")
    return None if text is None else float(text)


def _read_cpu_fields() -> dict[str, str]:
    """The first core's fields of /proc/cpuinfo; nothing where there is no such file."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _cuda_clock(device: torch.device) -> float | None:
    try:
        return float(torch.cuda.clock_rate(device))
    except Exception:  # of NVIDIA's management library, which containers often lack: each failure has a type
        return None
