"""A disk that is really full: what was acknowledged is safe, and with more room the study goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patience import patience_s

OWN_NAMESPACE = ["unshare", "--mount", "--map-root-user"]


def can_mount() -> bool:
    """Whether this user may mount a file system of its own; containers often forbid it."""
    if shutil.which("unshare") is None:
        return False
    words = [*OWN_NAMESPACE, "mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="may not mount a small file system here")
def test_full_disk_loses_no_acknowledged_row(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "helpers"
    done = subprocess.run(
        [*OWN_NAMESPACE, sys.executable, str(folder / "fill_disk.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{folder.parents[1]}"},
        capture_output=True,
        text=True,
        timeout=patience_s(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "rows before the disk was full" in done.stdout
