"""A report on its way to the file, and a question on its way to the rows: each goes down
through the wings once. Starts no Ray.

The calls on the stack are looked at where the file is written or read: each wing must stand there in one
piece, so that no wing is left and entered again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from session_testing import WORKER, Clock, a_study, play

import tune_jobs
from tune_jobs.cli.main import cli
from tune_jobs.on_ray.bridge import Bridge
from tune_jobs.on_ray.gpus.share import Shares
from tune_jobs.on_ray.leaving import Turns
from tune_jobs.session.messages import EpochReported, TrainingBegan, to_json
from tune_jobs.session.state_machine import Session
from tune_jobs.store.files.local import LocalAppendFile, LocalFiles
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import Decision

PACKAGE = Path(tune_jobs.__file__).parent


def wings_on_the_stack() -> list[str]:
    """The wings of the calls that are under way, from the outermost to this one."""
    paths = [Path(frame.filename) for frame in reversed(inspect.stack(context=0))]
    inside = [path.relative_to(PACKAGE).parts[0] for path in paths if path.is_relative_to(PACKAGE)]
    return [wing for wing, _ in groupby(inside)]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The walks that have ended at a file or a folder of a store."""
    walks: list[list[str]] = []

    def watch(kind: type, name: str) -> None:
        inner: Callable[..., Any] = getattr(kind, name)

        def watched(*args: Any, **words: Any) -> Any:
            walks.append(wings_on_the_stack())
            return inner(*args, **words)

        monkeypatch.setattr(kind, name, watched)

    watch(LocalAppendFile, "append")
    watch(LocalFiles, "list_names")
    return walks


class FakeRoom:
    """One free place."""

    share = SimpleNamespace(gpus=0.0)

    def workers(self, left: int, *, training: int) -> int:
        return 1

    def count_free(self) -> int:
        return 1

    def withdraw_demands(self) -> None: ...


def test_a_report_goes_down_once_from_the_message_to_the_file(tmp_path: Path, seen: list[list[str]]) -> None:
    study = a_study(trials=1)
    with StudyWriter.open(tmp_path / "store", study, versions={}) as log:
        session = Session(study, log, clock=Clock())
        room: Any = FakeRoom()
        bridge = Bridge(session, room, Shares(0.0), turns=Turns(), ended=lambda: False)
        bridge.suggest("a")
        bridge.take_start("a")
        metrics = {"epoch": 1, "val_accuracy": 0.5, "train_loss": 1.0, "epoch_s": 1.0, "elapsed_s": 1.0}
        for message in (
            TrainingBegan(worker=WORKER),
            EpochReported(metrics=metrics, unsaved={}, worker=WORKER),
        ):
            seen.clear()
            assert bridge.take_message("a", {"message": to_json(message)}) is Decision.CONTINUE
            assert seen == [["on_ray", "session", "store"]]
        assert bridge.error is None


@pytest.mark.parametrize("verb", ["query", "show", "report"])
def test_a_question_goes_down_once_from_the_command_line_to_the_rows(
    verb: str, tmp_path: Path, seen: list[list[str]]
) -> None:
    study = a_study(trials=4)
    with StudyWriter.open(tmp_path / "store", study, versions={}) as log:
        play(Session(study, log, clock=Clock()))
    seen.clear()
    asked = "select number from trials" if verb == "query" else study.name
    result = CliRunner().invoke(cli, [verb, asked, "--store", str(tmp_path / "store")])
    assert result.exit_code == 0, result.output
    assert seen
    for walk in seen:
        assert len(set(walk)) == len(walk), walk
        assert (walk[0], walk[-1]) == ("cli", "store")
