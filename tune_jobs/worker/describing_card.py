"""Facts about a worker's GPU beside its name: its driver, and an MPS server.

What cannot be read is None, never guessed. `describing_worker` calls this.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/version")
"""A file of NVIDIA's kernel module; its first line has the driver's version. Containers see it too."""

MPS_FOLDER, MPS_CONTROL = "/tmp/nvidia-mps", "control"
"""The folder of an MPS server's pipes unless CUDA_MPS_PIPE_DIRECTORY names another, and the pipe to which a
process connects. Source: NVIDIA, Multi-Process Service, "Environment Variables"."""


def driver_version(file: Path = DRIVER) -> str | None:
    """The version of NVIDIA's driver on this machine, such as ``580.159.04``."""
    try:
        found = re.search(r"\b\d+\.\d+(?:\.\d+)?\b", file.read_text(errors="replace").partition("\n")[0])
    except OSError:
        return None
    return found[0] if found else None


def uses_mps(environment: Mapping[str, str] | None = None) -> bool:
    """Whether CUDA of this process connects to an MPS server: its control pipe is there."""
    environment = os.environ if environment is None else environment
    folder = environment.get("CUDA_MPS_PIPE_DIRECTORY") or MPS_FOLDER
    return (Path(folder) / MPS_CONTROL).exists()
