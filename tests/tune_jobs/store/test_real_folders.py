"""Removing checkpoints: our own files in real folders, and nothing else, whatever lies among them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from session_testing import MemoryLog, a_study, play

from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.retention import Retention
from tune_jobs.session.state_machine import Session
from tune_jobs.store.files.real_folders import NotRealFolderError, Removal, real_folder

HALF = ".attempt-1.pt.0123456789abcdef0123456789abcdef.tmp"
OWN = ("attempt-1.pt", "earlier-1.pt", "final-12.pt", HALF)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else's, with names that look like ours too."""
    return fill(tmp_path / "outside", "holiday.jpg", *OWN)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(store=str(tmp_path / "store"), study="played")


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"damaged")
    return folder


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def by_tidying(checkpoints: Checkpoints) -> None:
    session = Session(a_study(), MemoryLog())
    play(session)
    Retention(checkpoints, keep=0).tidy(session.history, last=True)


def by_deleting(checkpoints: Checkpoints) -> None:
    checkpoints.remove_all()


REMOVALS = pytest.mark.parametrize("remove", [by_tidying, by_deleting])
Remove = Callable[[Checkpoints], None]


@REMOVALS
def test_foreign_files_in_a_folder_of_numbers_stay(checkpoints: Checkpoints, remove: Remove) -> None:
    study = checkpoints.folder(0).parent
    fill(study / "2024", "holiday.jpg")
    fill(study / "007", *OWN)
    fill(study / "notes", *OWN)
    fill(study / "3", *OWN, "attempt-1.pt (copy)", "attempt-01.pt", "final-x.pt", ".hidden")
    fill(study / "3" / "attempt-2.pt")
    fill(study / "4", *OWN)
    remove(checkpoints)
    expected = {"2024", "2024/holiday.jpg", "007", "notes", "3"}
    expected |= {f"{folder}/{name}" for folder in ("007", "notes") for name in OWN}
    expected |= {"3/attempt-1.pt (copy)", "3/attempt-01.pt", "3/final-x.pt", "3/.hidden", "3/attempt-2.pt"}
    assert tree(study) == expected


@REMOVALS
@pytest.mark.parametrize("level", ["checkpoints", "checkpoints/played", "checkpoints/played/5"])
def test_no_link_to_a_folder_is_followed(
    tmp_path: Path, checkpoints: Checkpoints, outside: Path, remove: Remove, level: str
) -> None:
    for below in ("", "5", "played/5"):
        fill(outside / below, "holiday.jpg", *OWN)
    link = tmp_path / "store" / level
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    before = tree(outside)
    with suppress(NotRealFolderError):  # above a trial's folder it is told by that
        remove(checkpoints)
    assert tree(outside) == before
    assert link.is_symlink()


def test_a_link_in_a_trials_folder_stays_and_is_named(checkpoints: Checkpoints, outside: Path) -> None:
    folder = fill(checkpoints.folder(0), "final-1.pt")
    (folder / "attempt-1.pt").symlink_to(outside / "attempt-1.pt")
    (folder.parent / "8").symlink_to(outside)
    done = checkpoints.remove_all()
    assert done.num_files == 1
    assert [path.partition(" ")[0] for path in done.foreign] == [
        str(folder / "attempt-1.pt"),
        str(folder.parent / "8"),
    ]
    assert tree(outside) == {"holiday.jpg", *OWN}


def test_what_is_ours_goes_with_its_empty_folders(checkpoints: Checkpoints) -> None:
    for number in (0, 1, 12):
        fill(checkpoints.folder(number), *OWN)
    assert checkpoints.remove_all() == Removal(num_files=12)
    assert not checkpoints.folder(0).parent.exists()
    assert checkpoints.remove_all() == Removal()


def test_what_cannot_be_removed_is_named_and_the_rest_goes(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (0, 1):
        fill(checkpoints.folder(number), *OWN)
    unlink = os.unlink

    def refuse(name: str, *, dir_fd: int | None = None) -> None:
        if name == "final-12.pt":
            raise OSError(errno.EPERM, "Operation not permitted")
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    done = checkpoints.remove_all()
    assert done.failed == tuple(
        f"{checkpoints.folder(number)}/final-12.pt: Operation not permitted" for number in (0, 1)
    )
    assert done.num_files == 6
    by_tidying(checkpoints)
    by_tidying(checkpoints)
    assert "were not removed yet: " + done.failed[0] in caplog.text
    monkeypatch.undo()
    assert checkpoints.remove_all().num_files == 2


def test_nothing_is_written_through_a_link(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "checkpoints").symlink_to(outside)
    with (
        pytest.raises(NotRealFolderError, match=r"store/checkpoints is a link, and no link below a store"),
        real_folder(tmp_path / "store", "checkpoints/played/0", make=True),
    ):
        pass
    assert tree(outside) == {"holiday.jpg", *OWN}


def test_a_store_that_is_reached_through_a_link_is_used(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "real")
    checkpoints = Checkpoints(store=str(tmp_path / "store"), study="played")
    fill(checkpoints.folder(0), *OWN)
    assert checkpoints.remove_all().num_files == 4
