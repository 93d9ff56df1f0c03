"""A file appears whole or not at all, and nothing but a file gives way to it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from eml_models.whole_files import write_whole


@pytest.mark.parametrize("linked", [False, True])
def test_pipe_or_device_is_not_replaced(linked: bool, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    target = tmp_path / "link" if linked else pipe
    if linked:
        target.symlink_to(pipe)
    with pytest.raises(FileExistsError, match="no plain file"):
        write_whole(target, b"page")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert len(list(tmp_path.iterdir())) == 1 + linked


def test_file_is_replaced_and_a_folder_is_not(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    for content in (b"old", b"new"):
        write_whole(target, content)
        assert target.read_bytes() == content
    with pytest.raises(OSError, match="directory"):
        write_whole(target.parent, b"page")
    assert list(tmp_path.iterdir()) == [target]
