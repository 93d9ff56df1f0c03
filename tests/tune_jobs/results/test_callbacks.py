"""Callbacks hear of every report and end, in both ways to train; what they raise ends nothing."""

from __future__ import annotations

import inspect
import json
import os
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from every_ending import every_ending
from living_ray import LivingRay
from session_testing import a_study, play

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs import (
    Callback,
    Float,
    Report,
    Results,
    RunFailedError,
    Space,
    Study,
    TrialResult,
    TrialStore,
    run_study,
)
from tune_jobs.errors import StoreError
from tune_jobs.on_ray import runner, tuning
from tune_jobs.session.state_machine import Session

METHODS = ["on_start", "on_report", "on_trial_end", "on_end"]


class Noting:
    """Notes each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def on_start(self, study: Study) -> None:
        self.calls.append(("on_start", study))

    def on_report(self, report: Report) -> None:
        self.calls.append(("on_report", report))

    def on_trial_end(self, trial: TrialResult) -> None:
        self.calls.append(("on_trial_end", trial))

    def on_end(self, results: Results) -> None:
        self.calls.append(("on_end", results))

    def of(self, method: str) -> list[Any]:
        return [value for name, value in self.calls if name == method]


class Raising(Callback):
    """Raises in every method."""

    def on_start(self, study: Study) -> None:
        raise ValueError("no server")

    def on_report(self, report: Report) -> None:
        raise KeyError("loss")

    def on_end(self, results: Results) -> None:
        raise OSError("disk full")


def test_it_hears_what_the_store_has(tmp_path: Path) -> None:
    noting = Noting()
    results = run_study(every_ending(), store=tmp_path, inline=True, callbacks=[noting])
    assert noting.calls[0] == ("on_start", every_ending())
    assert noting.calls[-1][0] == "on_end"
    assert [name for name, _ in noting.calls].count("on_start") == 1
    reports = results.reports
    assert sorted((r.number, r.epoch) for r in noting.of("on_report")) == sorted(
        reports[["number", "epoch"]].itertuples(index=False, name=None)
    )
    told = {(r.number, r.epoch): r.metrics for r in noting.of("on_report")}
    row = reports.iloc[0]
    assert told[row["number"], row["epoch"]]["iou"] == row["iou"]
    assert {t.number: str(t.state) for t in noting.of("on_trial_end")} == dict(
        results.trials[["number", "state"]].itertuples(index=False, name=None)
    )
    assert {r.decision for r in noting.of("on_report")} == {None, "continue", "stop"}
    (ended,) = noting.of("on_end")
    assert ended.best == results.best


def test_a_trial_that_ends_has_its_params_and_weights(tmp_path: Path) -> None:
    class Loading:
        """Loads the state of each trial while the run continues."""

        def on_trial_end(self, trial: TrialResult) -> None:
            assert trial.weights is not None
            states.append((trial.params["lr"] > 0, trial.weights.load()))

    states: list[Any] = []
    study = own_study(trials=2, asha=None)
    run_study(study, store=tmp_path, inline=True, callbacks=[Loading()], on_note=pytest.fail)
    assert states == [(True, {"epoch": 9})] * 2


def own_study(**changes: Any) -> Study:
    """A study whose trials all complete."""
    words: dict[str, Any] = {"train": plain, "cost": None, "limits": None, "asha": None}
    return every_ending(space=Space(Float("lr", 0.1, 1)), **{**words, **changes})


def plain(params: dict[str, Any], run: Any) -> Any:
    for epoch in range(1, run.epochs + 1):
        run.save({"epoch": epoch})
        yield {"iou": params["lr"] * 10 + epoch}


def test_shipped_training_is_heard_alike(tmp_path: Path) -> None:
    study = Study(
        name="digits",
        space=Space(Float("learning_rate", 0.01, 1.0, log=True)),
        recipe=Recipe(learning_rate=0.1, epochs=2, max_train_samples=60),
        trials=1,
    )
    noting = Noting()
    run_study(study, store=tmp_path, inline=True, callbacks=[noting])
    assert [name for name, _ in noting.calls] == [METHODS[0], METHODS[1], METHODS[1], *METHODS[2:]]
    first = noting.of("on_report")[0]
    assert {"val_accuracy", "train_loss", "epoch_s"} <= first.metrics.keys()
    assert "test_accuracy" not in first.metrics
    assert first.params.keys() == {"learning_rate"}


def test_a_run_on_ray_is_heard_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit_session(session: Session, *args: object, **options: object) -> bool:
        play(session)
        return False

    monkeypatch.setattr(tuning, "fit_session", fit_session)
    monkeypatch.setattr(runner, "measured_here", lambda *args: nullcontext())
    monkeypatch.setattr(runner, "connected", lambda *args, **options: nullcontext(LivingRay()))
    noting = Noting()
    notes: list[str] = []
    results = run_study(a_study(trials=4), store=tmp_path, callbacks=[noting], on_note=notes.append)
    assert notes[-1:] == ["the Ray dashboard shows this run: http://10.0.0.5:8265"]
    assert len(noting.of("on_report")) == len(results.reports) > 4
    assert len(noting.of("on_trial_end")) == 4


def test_what_it_raises_is_shown_once_and_ends_nothing(tmp_path: Path) -> None:
    notes: list[str] = []
    noting = Noting()
    study = every_ending(trials=6)
    results = run_study(
        study, store=tmp_path, inline=True, callbacks=[Raising(), noting], on_note=notes.append
    )
    shown = [note for note in notes if note.startswith("Raising.")]
    assert [note.split(" ")[0] for note in shown] == [
        "Raising.on_start",
        "Raising.on_report",
        "Raising.on_end",
    ]
    assert "raised KeyError: 'loss' (test_callbacks.py:" in shown[1]
    assert "The run continues" in shown[0]
    assert "Nothing of the run is lost" in shown[2]
    assert len(noting.of("on_trial_end")) == len(results.trials)


class Misusing:
    """Raises in a library, and has an attribute that raises."""

    def on_start(self, study: Study) -> None:
        json.loads("no json")

    @property
    def on_end(self) -> Any:
        raise RuntimeError("closed")


def test_an_error_in_a_library_is_shown_at_the_line_that_called_it(tmp_path: Path) -> None:
    notes: list[str] = []
    run_study(
        every_ending(trials=1), store=tmp_path, inline=True, callbacks=[Misusing()], on_note=notes.append
    )
    first, last = [note for note in notes if note.startswith("Misusing.")]
    line = inspect.getsourcelines(Misusing.on_start)[1] + 1
    assert f"(test_callbacks.py:{line})" in first
    assert "on_end raised RuntimeError: closed" in last


def test_the_end_of_a_run_that_fails_is_heard(tmp_path: Path) -> None:
    def breaks(params: dict[str, Any], run: Any) -> Any:
        raise ValueError("no such file")

    noting = Noting()
    with pytest.raises(RunFailedError):
        run_study(every_ending(train=breaks), store=tmp_path, inline=True, callbacks=[noting])
    (results,) = noting.of("on_end")
    assert len(results.failures) == 5


def test_ctrl_c_ends_in_order_and_then_interrupts(tmp_path: Path) -> None:
    class Pressing(Noting):
        """Sends Ctrl-C at the second trial's first report."""

        def on_report(self, report: Report) -> None:
            super().on_report(report)
            if report.number == 1:
                os.kill(os.getpid(), signal.SIGINT)

    pressing = Pressing()
    study = own_study(trials=4)
    with pytest.raises(KeyboardInterrupt, match=r"was interrupted after 1 of 4 trials; .* continues it"):
        run_study(study, store=tmp_path, inline=True, callbacks=[pressing])
    assert len(pressing.of("on_end")) == 1
    again = run_study(study, store=tmp_path, inline=True)
    assert len(again.trials) == 4


def test_a_complete_study_calls_nothing(tmp_path: Path) -> None:
    study, noting = every_ending(trials=2), Noting()
    run_study(study, store=tmp_path, inline=True)
    assert run_study(study, store=tmp_path, inline=True, callbacks=[noting]).already_complete
    assert noting.calls == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([Noting], r"a callback is an object, got the class Noting; write Noting\(\.\.\.\)"),
        (
            [print],
            "a callback has at least one of the methods on_start, on_report, on_trial_end, on_end, got",
        ),
        (Noting(), r"callbacks must be a list, .* write callbacks=\[\.\.\.\]"),
    ],
)
def test_what_cannot_be_called_is_refused_before_the_run(given: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=message):
        run_study(every_ending(), store=tmp_path / "store", inline=True, callbacks=given)
    assert not (tmp_path / "store").exists()


def test_sigterm_has_its_usual_effect_after_the_orderly_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Ending:
        """Sends SIGTERM when the first trial ends."""

        def on_trial_end(self, trial: TrialResult) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    seen: list[int] = []
    usual = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        results = run_study(own_study(trials=3), store=tmp_path, inline=True, callbacks=[Ending()])
    finally:
        signal.signal(signal.SIGTERM, usual)
    assert seen == [signal.SIGTERM]
    assert results.interrupted
    assert len(results.trials) == 1
    assert "was interrupted after 1 of 3 trials" in capsys.readouterr().err


@pytest.mark.parametrize("num_unread", [1, 2])
def test_the_end_is_heard_although_the_store_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_unread: int
) -> None:
    """If reading fails twice, the results are those of the rows that this run has written."""
    reads = iter([StoreError("the disk has gone") for _ in range(num_unread)])
    read = TrialStore.read

    def failing(store: TrialStore, *words: Any, **options: Any) -> Any:
        for error in reads:
            raise error
        return read(store, *words, **options)

    monkeypatch.setattr(TrialStore, "read", failing)
    noting = Noting()
    with pytest.raises(StoreError, match="the disk has gone") as caught:
        run_study(own_study(trials=3), store=tmp_path, inline=True, callbacks=[noting])
    monkeypatch.undo()
    (ended,) = noting.of("on_end")
    whole = TrialStore(tmp_path).results(own_study())
    assert ended.best == whole.best
    assert list(ended.trials["number"]) == list(whole.trials["number"])
    assert list(ended.reports["iou"]) == list(whole.reports["iou"])
    assert (num_unread == 2) == any("of this run alone" in n for n in getattr(caught.value, "__notes__", ()))
