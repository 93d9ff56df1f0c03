"""`delete`: weights first, nothing foreign, and whatever ends it, the same command again continues."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_testing import Cli
from session_testing import WORKER, a_study, rising

from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe
from eml_models.training.snapshot import save_snapshot
from tune_jobs import TrialStore
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.session.state_machine import Session
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.writer import StudyWriter

STUDY = a_study(name="gone", trials=3, asha=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with the study, whose trials have what looks like weights."""
    write(tmp_path / "trials")
    return tmp_path


def write(store: Path) -> None:
    with StudyWriter.open(store, STUDY, versions={}) as writer:
        session = Session(STUDY, writer)
        while (attempt := session.next_attempt()) is not None:
            for epoch in range(1, attempt.recipe.epochs + 1):
                session.record_report(attempt.number, rising(attempt, epoch), WORKER)
            path = Checkpoints(store=str(store), study="gone").folder(attempt.number)
            path.mkdir(parents=True)
            (path / "final-1.pt").write_bytes(b"weights")
            Logs(store=str(store), study="gone").write(attempt.number, 1, "printed\n")


def weights(folder: Path) -> list[Path]:
    return sorted((folder / "trials" / "checkpoints").rglob("final-1.pt"))


def num_trials(folder: Path) -> int:
    return len(TrialStore(folder / "trials").trials())


def test_weights_that_cannot_be_removed_are_named_and_the_study_stays(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if path == "final-1.pt" and len(weights(folder)) == 1:
            raise OSError(errno.EPERM, "Operation not permitted")
        unlink(path, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        code, _, err = cli("delete", "gone", "--yes")
    (left,) = weights(folder)
    assert code == 1
    assert f"not removed: {left}: Operation not permitted" in err
    assert "study 'gone' is not fully deleted" in err
    assert num_trials(folder) == 3
    code, _, err = cli("delete", "gone", "--yes")
    assert code == 0
    assert "deleted 'gone'" in err
    assert not (folder / "trials" / "checkpoints" / "gone").exists()
    assert cli("delete", "gone", "--yes")[0] == 2


def test_a_deletion_that_is_cut_short_anywhere_can_be_repeated(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each removal in turn is the one at which the process ends."""
    whole = shutil.copytree(folder / "trials", folder / "whole")
    for last in range(1, 100):
        shutil.rmtree(folder / "trials")
        shutil.copytree(whole, folder / "trials")
        with monkeypatch.context() as patch:
            calls = counted(patch, last)
            cut_short = cli("delete", "gone", "--yes")[0] != 0
        assert cut_short == (len(calls) >= last)
        assert not cut_short or cli("delete", "gone", "--yes")[0] == 0
        assert weights(folder) == []
        assert not (folder / "trials" / "logs" / "gone").exists()
        assert num_trials(folder) == 0
        assert "gone" not in set(TrialStore(folder / "trials").studies()["study"])
        if not cut_short:
            break
    assert last > 11  # three weights, three logs, four tables, a definition


def counted(patch: pytest.MonkeyPatch, last: int) -> list[str]:
    """Note each removal; at the last one the process is interrupted."""
    calls: list[str] = []

    def counting(action: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            calls.append(action.__name__)
            if len(calls) == last:
                raise KeyboardInterrupt
            return action(*args, **options)

        return call

    for owner, name in ((os, "unlink"), (os, "rmdir"), (LocalFiles, "remove")):
        patch.setattr(owner, name, counting(getattr(owner, name)))
    return calls


def test_a_study_that_is_written_keeps_its_weights(cli: Cli, folder: Path) -> None:
    with StudyWriter.open(folder / "trials", STUDY, versions={}):
        code, _, err = cli("delete", "gone", "--yes")
    assert code == 1
    assert "is being written by" in err
    assert len(weights(folder)) == 3


def test_foreign_files_stay_and_are_named(cli: Cli, folder: Path, tmp_path: Path) -> None:
    store, outside = folder / "trials", tmp_path / "outside"
    outside.mkdir()
    (outside / "final-1.pt").touch()
    foreign = [
        store / "checkpoints" / "gone" / "2024" / "holiday.jpg",
        store / "checkpoints" / "gone" / "0" / "notes.txt",
        store / "logs" / "gone" / "0" / "notes.txt",
        store / "reports" / "study_slug=s-gone" / "holiday.jpg",
        store / "trials" / "study_slug=s-gone" / "my copy.parquet",
        store / "_wal" / "s-gone" / "notes.txt",
        store / "_tmp" / "s-gone" / "notes.txt",
        store / "studies" / "study_slug=s-gone" / "notes.txt",
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    link = store / "checkpoints" / "gone" / "77"
    link.symlink_to(outside)
    code, _, err = cli("delete", "gone", "--yes")
    assert code == 0, err
    for path in (*foreign, link):
        assert str(path) in err
        assert path.exists()
    assert (outside / "final-1.pt").exists()
    assert len(weights(folder)) == 0
    assert num_trials(folder) == 0


@pytest.mark.parametrize(
    "place",
    [
        "reports/study_slug=s-gone",
        "trials",
        "studies/study_slug=s-gone",
        "_wal/s-gone",
        "checkpoints/gone",
        "logs/gone",
    ],
)
def test_what_lies_behind_a_link_stays_until_the_link_is_taken_away(
    cli: Cli, folder: Path, tmp_path: Path, place: str
) -> None:
    outside = tmp_path / "outside"
    link = folder / "trials" / place
    shutil.move(link, outside)
    link.symlink_to(outside)
    before = {
        path: path.read_bytes() for path in outside.rglob("*") if path.is_file() and path.name != "lock"
    }
    for _ in range(2):
        code, _, err = cli("delete", "gone", "--yes")
        assert code == 1
        assert f"{link} is a link, and no link below a store is followed" in err
        after = {p: p.read_bytes() for p in outside.rglob("*") if p.is_file() and p.name != "lock"}
        assert after == before
    link.unlink()
    shutil.move(outside, link)
    assert cli("delete", "gone", "--yes")[0] == 0
    assert num_trials(folder) == 0


def test_compaction_refuses_a_link_in_a_folders_place(cli: Cli, folder: Path, tmp_path: Path) -> None:
    outside, link = tmp_path / "outside", folder / "trials" / "reports" / "study_slug=s-gone"
    shutil.move(link, outside)
    link.symlink_to(outside)
    before = sorted(outside.iterdir())
    code, _, err = cli("compact", "gone")
    assert code == 1
    assert f"{link} is a link" in err
    assert link.is_symlink()
    assert sorted(outside.iterdir()) == before
    assert num_trials(folder) == 3


def test_weights_of_an_earlier_study_of_the_name_are_not_exported(cli: Cli, folder: Path) -> None:
    """They could not be removed with it; a later attempt's number does not make them the later study's."""
    recipe = Recipe(learning_rate=0.05, epochs=3, max_train_samples=64)
    store = str(folder / "trials")
    left = Checkpoints.of(store, "gone")
    training = fit(recipe)
    list(training)
    assert cli("delete", "gone", "--yes")[0] == 0
    write(folder / "trials")
    (start,) = (row for row in TrialStore(store).starts("gone").itertuples() if row.number == 0)
    now = Checkpoints.of(store, "gone")
    assert left.identity != now.identity
    left.save(0, 9, training.snapshot(), recipe=start.recipe, final=True)
    code, _, err = cli("export", "gone", "0", "--output", "net.pt")
    assert code == 2
    assert "final-9.pt is of another training" in err
    assert not (folder / "net.pt").exists()
    now.save(0, 1, training.snapshot(), recipe=start.recipe, final=True)
    code, _, err = cli("export", "gone", "0", "--output", "net.pt")
    assert code == 0, err
    assert "left out: " in err
    save_snapshot(training.snapshot(), now.folder(0) / "final-1.pt")  # by hand: it does not say whose it is
    assert cli("export", "gone", "0", "--output", "other.pt")[0] == 2
