"""Folders that own training saves: what is packed can be unpacked, and all else is refused."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from own_attempts import Params, an_attempt, checkpoints_in, loads_in_next, reports_of

from eml_models.errors import InvalidValueError
from tune_jobs.worker.saved_folder import packed, unpack
from tune_jobs.worker.trial_run import TrialRun


def test_a_folder_is_kept_as_files(tmp_path: Path) -> None:
    found: list[str] = []

    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        folder = run.load_folder()
        if folder is not None:
            found.append((folder / "inner" / "model.txt").read_text())
        written = run.scratch / "checkpoint" / "inner"
        written.mkdir(parents=True)
        (written / "model.txt").write_text("weights")
        run.save_folder(run.scratch / "checkpoint")
        yield {"iou": 0.1}

    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(train, checkpoints=checkpoints).iter_reports()
    next(first)
    first.close()
    next(an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged={1: 1}).iter_reports())
    assert found == ["weights"]


def test_a_folder_and_a_state_may_be_saved_at_different_reports(tmp_path: Path) -> None:
    found: list[bool] = []

    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        found.append(run.load_folder() is not None)
        (run.scratch / "kept").mkdir(exist_ok=True)
        run.save_folder(run.scratch / "kept")
        for epoch in range(1, 4):
            yield {"iou": 0.1}
            run.save({"epoch": epoch})

    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(train, checkpoints=checkpoints).iter_reports()
    for _ in range(3):
        next(first)
    first.close()
    next(an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged={1: 3}).iter_reports())
    assert found == [False, True]


def test_the_scratch_folder_goes_with_the_attempt() -> None:
    seen: list[Path] = []

    def train(params: Params, run: TrialRun) -> dict[str, float]:
        seen.append(run.scratch)
        assert run.scratch.is_dir()
        return {"iou": 0.0}

    reports_of(train)
    assert not seen[0].exists()


def saving(make: Callable[[Path], object], found: list[Any]) -> Callable[..., Any]:
    """A training function that saves a folder that `make` fills, and notes what a later attempt loads."""

    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        if (loaded := run.load_folder()) is not None:
            found.append(content_of(loaded))
        else:
            folder = run.scratch / "kept"
            folder.mkdir()
            make(folder)
            run.save_folder(folder)
        yield {"iou": 0.1}

    return train


def content_of(folder: Path) -> dict[str, str]:
    """What a folder holds by the path within it: texts, targets of links, and a slash for a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        shown = f"-> {path.readlink()}" if path.is_symlink() else "/" if path.is_dir() else path.read_text()
        found[str(path.relative_to(folder))] = shown
    return found


def deep(folder: Path, levels: int) -> Path:
    return folder.joinpath(*["d"] * levels)


def nothing(folder: Path) -> None:
    """Leaves the folder empty."""


def files_and_folders(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "inner" / "deeper").mkdir(parents=True)
    (folder / "inner" / "deeper" / "a.txt").write_text("a")
    (folder / "none.txt").touch()


def odd_names(folder: Path) -> None:
    for name in ("line\nbreak", " ", "-rf", "naïve", os.fsdecode(b"half-\xff"), "n" * 250):
        (folder / name).write_text("odd")


def links_inside(folder: Path) -> None:
    (folder / "epochs").mkdir()
    (folder / "epochs" / "2.txt").write_text("two")
    (folder / "best").symlink_to("epochs")
    (folder / "last.txt").symlink_to(folder / "epochs" / "2.txt")  # absolute, as by Lightning
    (folder / "epochs" / "up").symlink_to("..")
    (folder / "epochs" / "chain").symlink_to("../best/2.txt")
    (folder / "gone").symlink_to("epochs/1.txt")
    os.link(folder / "epochs" / "2.txt", folder / "same.txt")


def hundred_levels(folder: Path) -> None:
    deep(folder, 99).mkdir(parents=True)
    (deep(folder, 99) / "a.txt").write_text("a")


def read_only(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "a.txt").write_text("a")
    (folder / "inner" / "a.txt").chmod(0o400)
    (folder / "inner").chmod(0o500)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (nothing, {}),
        (
            files_and_folders,
            {"empty": "/", "inner": "/", "inner/deeper": "/", "inner/deeper/a.txt": "a", "none.txt": ""},
        ),
        (
            odd_names,
            dict.fromkeys(
                ("line\nbreak", " ", "-rf", "naïve", os.fsdecode(b"half-\xff"), "n" * 250), "odd"
            ),
        ),
        (
            links_inside,
            {
                "best": "-> epochs", "epochs": "/", "epochs/2.txt": "two", "epochs/chain": "-> 2.txt",
                "epochs/up": "-> ..", "gone": "-> epochs/1.txt", "last.txt": "-> epochs/2.txt",
                "same.txt": "two",
            },
        ),
        (
            hundred_levels,
            {**{str(deep(Path(), n)): "/" for n in range(1, 100)}, str(deep(Path(), 99) / "a.txt"): "a"},
        ),
        (read_only, {"inner": "/", "inner/a.txt": "a"}),
    ],
)  # fmt: skip
def test_what_a_folder_holds_comes_back(
    tmp_path: Path, make: Callable[[Path], object], expected: dict[str, str]
) -> None:
    found: list[Any] = []
    loads_in_next(saving(make, found), tmp_path)
    assert found == [expected]


def leads_outside(folder: Path) -> None:
    (folder / "data").symlink_to("../../secret")


def leads_outside_by_a_link(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "up").symlink_to("..")
    (folder / "data").symlink_to("inner/up/../secret")


def leads_to_the_system(folder: Path) -> None:
    (folder / "null").symlink_to("/dev/null")


def is_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def is_a_socket(folder: Path) -> None:
    here = Path.cwd()
    os.chdir(folder)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    os.chdir(here)


def too_deep(folder: Path) -> None:
    deep(folder, 101).mkdir(parents=True)


def too_long(folder: Path) -> None:
    (folder.joinpath(*["n" * 250] * 9)).mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "got", "rule", "way_out"),
    [
        (leads_outside, "got 'data'", "links that stay inside", "copy its target into the folder"),
        (leads_outside_by_a_link, "got 'data'", "links that stay inside", "copy its target"),
        (leads_to_the_system, "a link to '/dev/null'", "links that stay inside", "copy its target"),
        (is_a_pipe, "got 'pipe'; it is a pipe", "keeps files, folders and links", "to another folder"),
        (is_a_socket, "got 'socket'; it is a socket", "keeps files, folders", "to another folder"),
        (too_deep, "got 'd/d/d/", "at most 100 folders within each other", "write fewer levels"),
        (too_long, "got 'nnn", "paths of 2,000 bytes", "save the inner folder"),
    ],
)
def test_what_could_not_be_loaded_is_refused_when_it_is_saved(
    tmp_path: Path, make: Callable[[Path], object], got: str, rule: str, way_out: str
) -> None:
    (tmp_path / "secret").mkdir()
    with pytest.raises(InvalidValueError) as error:
        reports_of(saving(make, []), checkpoints=checkpoints_in(tmp_path))
    for words in (got, rule, way_out):
        assert words in str(error.value)
    assert len(str(error.value)) < 600


def test_a_device_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "null").touch()
    device = os.lstat("/dev/null")
    real = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: device if str(path).endswith("null") else real(path))
    with pytest.raises(InvalidValueError, match=r"got 'null'; it is a device: write it to another folder"):
        packed(tmp_path)


@pytest.mark.parametrize("wrong", [None, 3, "nowhere", "", "a\0b"])
def test_what_is_no_folder_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"takes a folder that exists, got "):
        packed(wrong)


def test_a_link_to_a_folder_may_be_saved(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a.txt").write_text("a")
    (tmp_path / "link").symlink_to("kept")
    unpack(packed(tmp_path / "link"), tmp_path / "unpacked")
    assert content_of(tmp_path / "unpacked") == {"a.txt": "a"}


def test_links_in_a_circle_come_back_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    (folder / "itself").symlink_to("itself")
    unpack(packed(folder), tmp_path / "unpacked")
    links = {path.name: str(path.readlink()) for path in (tmp_path / "unpacked").iterdir()}
    assert links == {"one": "two", "two": "one", "itself": "itself"}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "weights").touch()
    monkeypatch.setattr(Path, "read_bytes", closed)
    with pytest.raises(InvalidValueError, match=r"got 'weights'; Permission denied: make it readable"):
        packed(tmp_path)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", closed)
    with pytest.raises(InvalidValueError, match="takes what this process can read, got ''"):
        packed(tmp_path)


class Writer:
    """Writes to a folder whenever a file of it is read, for the first `times`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, write: Callable[[], object], times: int) -> None:
        self._real, self._write, self._left = Path.read_bytes, write, times
        monkeypatch.setattr(Path, "read_bytes", lambda path: self._read(path))
        monkeypatch.setattr("tune_jobs.worker.saved_folder.PAUSES_S", (0.0, 0.0, 0.0))

    def _read(self, path: Path) -> bytes:
        found = self._real(path)
        if self._left:
            self._left -= 1
            self._write()
        return found


@pytest.mark.parametrize("what", ["grows", "appears", "vanishes"])
@pytest.mark.parametrize("times", [1, 2, 99])
def test_a_folder_that_changes_while_it_is_saved_is_read_again_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, times: int
) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    for name in ("a.txt", *(f"b{n}.txt" for n in range(5))):
        (folder / name).write_text("1")
    names = (f"b{n}.txt" for n in range(5))

    def write() -> None:
        if what == "grows":
            with (folder / "a.txt").open("a") as file:
                file.write("2")
        elif what == "appears":
            (folder / f"c{len(list(folder.iterdir()))}.txt").touch()
        else:
            (folder / next(names, "a.txt")).unlink(missing_ok=True)
            (folder / "new.txt").write_text(str(time.time_ns()))

    Writer(monkeypatch, write, times)
    if times == 99:
        with pytest.raises(InvalidValueError, match=r"that nothing writes to, got .* changed"):
            packed(folder)
    else:
        unpack(packed(folder), tmp_path / "unpacked")
        assert content_of(tmp_path / "unpacked") == content_of(folder)


def test_a_scratch_folder_too_deep_to_be_removed_costs_no_trial(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_deep_to_remove(folder: Any) -> None:
        folder._finalizer.detach()
        raise RecursionError("maximum recursion depth exceeded")

    def train(params: Params, run: TrialRun) -> dict[str, float]:
        assert run.scratch.is_dir()
        monkeypatch.setattr(tempfile.TemporaryDirectory, "cleanup", too_deep_to_remove)
        return {"iou": 0.1}

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert reports_of(train) == [(1, {"iou": 0.1})]
    assert "is too deep to be removed, and stays" in caplog.text
