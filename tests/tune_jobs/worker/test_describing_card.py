"""Facts about a card from files, on a machine without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tune_jobs.worker.describing_card import driver_version, uses_mps


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\nGCC version: 12.2",
            "535.104.05",
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\n",
            "580.159.04",
        ),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54\n", "550.54"),
        ("nothing of use\n580.159.04", None),
        ("", None),
    ],
)
def test_driver_is_read_from_the_kernel_modules_file(tmp_path: Path, text: str, version: str | None) -> None:
    file = tmp_path / "version"
    assert driver_version(file) is None
    file.write_text(text)
    assert driver_version(file) == version


def test_an_mps_server_is_known_by_its_pipe(tmp_path: Path) -> None:
    named = {"CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)}
    assert not uses_mps(named)
    (tmp_path / "control").touch()
    assert uses_mps(named)
