"""Folders that only this user may enter: where they are made, what is hostile, what is removed."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.cluster import private_folder
from tune_jobs.on_ray.cluster.private_folder import keep, make_private_folder, remove, scratch_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and owners as POSIX has them")

DEAD = 2**30
NOBODY = 65534


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The usual place for temporary files, and the only other one."""
    usual, other = tmp_path / "usual", tmp_path / "other"
    for place in (usual, other):
        place.mkdir(mode=0o700)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(usual))
    monkeypatch.setattr(private_folder, "USUAL_PLACES", (str(other),))
    return usual, other


def test_folder_is_new_and_its_users_alone(places: tuple[Path, Path]) -> None:
    before = os.umask(0)
    try:
        first, second = make_private_folder(), make_private_folder()
    finally:
        os.umask(before)
    assert first != second
    for made in (first, second):
        found = made.lstat()
        assert made.parent == places[0]
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, os.geteuid())
        assert stat.S_ISDIR(found.st_mode)


def test_place_that_was_named_to_ray_comes_first(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named").mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "named"))
    assert make_private_folder().parent == tmp_path / "named"


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
@pytest.mark.parametrize("above", [False, True])
def test_place_where_others_may_exchange_folders_is_passed_over(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, mode: int, above: bool
) -> None:
    usual, other = places
    place = usual / "deeper" if above else usual
    place.mkdir(exist_ok=True)
    usual.chmod(mode)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    assert make_private_folder().parent == other
    usual.chmod(mode | stat.S_ISVTX)  # as the usual /tmp is
    assert make_private_folder().parent == place


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="gives a folder away, as root may")
def test_place_of_another_user_is_passed_over(places: tuple[Path, Path]) -> None:
    usual, other = places
    os.chown(usual, NOBODY, NOBODY)
    assert make_private_folder().parent == other


def test_link_to_a_place_is_not_on_the_path(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever owns the link could lead it elsewhere later."""
    (tmp_path / "link").symlink_to(places[0])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "link"))
    assert make_private_folder().parent == places[0]


def test_place_whose_path_is_too_long_for_sockets_is_passed_over(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, other = places
    long = usual / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    longest = len(os.fsencode(other)) + 1 + len(f"tune-jobs-{os.getpid()}-12345678") + 10
    assert make_private_folder(below=10, longest=longest).parent == other
    assert list(long.iterdir()) == []


def test_no_place_is_an_error_with_the_reasons_and_the_way_out(places: tuple[Path, Path]) -> None:
    usual, other = places
    usual.chmod(0o777)
    other.rmdir()
    with pytest.raises(TuneJobsError) as caught:
        make_private_folder()
    said = str(caught.value)
    assert f"{usual}: other users may write in {usual}, which has no sticky bit" in said
    assert f"{other}: [Errno 2]" in said
    assert "TMPDIR" in said


def test_next_start_removes_what_killed_processes_left_and_nothing_else(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    dead, living = f"tune-jobs-{DEAD}-x", f"tune-jobs-{os.getpid()}-x"
    foreign, odd = "tune-jobs-notes", "tune-jobs-\N{SUPERSCRIPT TWO}-x"
    for place in places:
        for name in (dead, living, foreign, odd):
            (place / name / "r").mkdir(parents=True)
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine").touch()
    link = f"tune-jobs-{DEAD}-link"
    (places[0] / link).symlink_to(target)
    made = make_private_folder()
    assert {path.name for path in places[0].iterdir()} == {living, foreign, odd, link, made.name}
    assert {path.name for path in places[1].iterdir()} == {living, foreign, odd}
    assert (target / "mine").exists()


def test_folder_of_another_user_is_left_though_its_name_is_ours(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = places[0] / f"tune-jobs-{DEAD}-x"
    folder.mkdir()
    if os.geteuid() == 0 and sys.platform == "linux":
        os.chown(folder, NOBODY, NOBODY)
    else:
        monkeypatch.setattr(private_folder, "_require_safe", lambda place: None)
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    make_private_folder()
    assert folder.exists()


def test_folder_that_was_kept_stays_for_a_week(places: tuple[Path, Path]) -> None:
    folders = [places[0] / f"tune-jobs-{DEAD}-{name}" for name in ("new", "old")]
    for folder in folders:
        folder.mkdir()
        keep(folder)
    week_ago = time.time() - 8 * 24 * 3600
    os.utime(folders[1] / "kept", (week_ago, week_ago))
    make_private_folder()
    assert [folder.exists() for folder in folders] == [True, False]


def test_folder_goes_though_a_process_still_writes_there(places: tuple[Path, Path]) -> None:
    folder = make_private_folder()
    ends_at = time.monotonic() + 0.3

    def write() -> None:
        number = 0
        while time.monotonic() < ends_at and folder.exists():
            number += 1
            try:
                (folder / str(number)).mkdir()
            except OSError:  # it was gone for a moment
                continue

    thread = threading.Thread(target=write)
    thread.start()
    remove(folder)
    thread.join()
    assert not folder.exists()


def test_scratch_goes_also_after_an_error(places: tuple[Path, Path]) -> None:
    with pytest.raises(FileNotFoundError), scratch_folder() as scratch:
        (scratch / "missing" / "file").touch()
    assert list(places[0].iterdir()) == []
