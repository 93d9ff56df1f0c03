"""A study of own training whose workers and drivers are killed at random moments decides as if nothing was.

The moments lie before, in and after saves and records (`own_kills.Moment`). No Ray; on Ray the same is tested
by `test_own_kills_on_ray`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from own_kills import Cluster, Moment

from tune_jobs import Asha, Choice, Float, Maximize, Space, Study
from tune_jobs.analysis.audit import audit
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.own_training import OwnRecipe, Train
from tune_jobs.study.rows import ReportRow, Row, StartRow, State, TrialRow
from tune_jobs.testing.in_process import run_in_process
from tune_jobs.worker.own_attempt import OwnAttempt
from tune_jobs.worker.trial_run import TrialRun

Params = dict[str, Any]


def trains(
    params: Params, run: TrialRun, *, every: int = 1, until: float = math.inf
) -> Iterator[dict[str, float]]:
    """A value that depends on every epoch before, and on a generator: a wrong state shows in all that follow.

    Its state is saved with the reports of the epochs that `every` divides. It ends early when the first
    weight is above `until`.
    """
    generator = torch.Generator().manual_seed(run.seed % 2**32)
    state = run.load() or {"epoch": 0, "weight": torch.zeros(3), "generator": generator.get_state()}
    weight, _ = state["weight"], generator.set_state(state["generator"])
    for epoch in range(state["epoch"] + 1, run.epochs + 1):
        if weight[0] > until:
            return
        weight = 0.7 * weight + torch.rand(3, generator=generator)
        if epoch % every == 0:
            run.save({"epoch": epoch, "weight": weight, "generator": generator.get_state()})
        quality = 1 / (1 + abs(math.log10(params["lr"]) + 3)) + 0.1 * params["depth"]
        yield {"iou": quality * epoch / (epoch + 1) + 0.01 * float(weight.mean()), "weight": float(weight[0])}


def saves_rarely(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
    yield from trains(params, run, every=2)


def calls(params: Params, run: TrialRun) -> None:
    for metrics in trains(params, run):
        run.report(metrics)


def keeps_a_folder(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
    folder, value, first = run.load_folder(), 0.0, 1
    if folder is not None:
        epoch, text = (folder / "state.txt").read_text().split()
        value, first = float(text), int(epoch) + 1
    for epoch in range(first, run.epochs + 1):
        value = 0.7 * value + params["lr"] * (run.seed % 97)
        (run.scratch / "kept").mkdir(exist_ok=True)
        (run.scratch / "kept" / "state.txt").write_text(f"{epoch} {value!r}")
        run.save_folder(run.scratch / "kept")
        yield {"iou": value}


def returns_early(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
    yield from trains(params, run, until=1.6)


def a_study(train: Train) -> Study:
    return Study(
        name="killed",
        space=Space(Float("lr", 1e-5, 1e-1, log=True), Choice("depth", (2, 3))),
        train=train,
        objectives=(Maximize("iou"),),
        epochs=9,
        trials=14,
        asha=Asha(min_epochs=3, reduction_factor=3),
        seed=3,
    )


Table = list[tuple[int, str, str, int, float | None, str]]


def table(rows: list[Row]) -> Table:
    ended = [row for row in rows if isinstance(row, TrialRow)]
    return sorted((t.number, t.params, str(t.state), t.epochs, t.objective, t.reason) for t in ended)


def acknowledged(rows: list[Row]) -> dict[int, dict[int, str]]:
    """The metrics of the first acknowledged report of each epoch, by trial."""
    found: dict[int, dict[int, str]] = {}
    for row in rows:
        if isinstance(row, ReportRow):
            found.setdefault(row.number, {}).setdefault(row.epoch, row.metrics)
    return found


def undisturbed(study: Study, rows: list[Row]) -> dict[int, dict[int, float]]:
    """The objective of each epoch of each trial, if nothing is killed."""
    assert study.train is not None
    recipes = {row.number: OwnRecipe.from_json(row.recipe) for row in rows if isinstance(row, StartRow)}
    return {
        number: {
            r.epoch: r.metrics["iou"] for r in OwnAttempt(study.train, recipe, number=number).iter_reports()
        }
        for number, recipe in recipes.items()
    }


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("train", [trains, calls, saves_rarely, keeps_a_folder, returns_early])
def test_killed_study_has_the_rows_of_an_undisturbed_one(tmp_path: Path, train: Train, workers: int) -> None:
    study = a_study(train)
    cluster = Cluster(store=tmp_path, study=study, workers=workers, seed=workers)
    cluster.run()
    assert set(cluster.kills) == set(Moment), "every kind of kill should have happened"
    assert (cluster.outlived > 0) == (workers > 1)
    assert any(loaded for _, loaded in cluster.loaded)
    if train is not saves_rarely:
        assert all(loaded == last for last, loaded in cluster.loaded)

    store = TrialStore(tmp_path)
    rows = list(store.rows(study.name))
    found = audit(study, rows)
    assert (found.differences, found.num_proposals) == ((), study.trials)
    assert {state for _, _, state, *_ in table(rows)} <= {State.COMPLETED, State.STOPPED}
    expected = undisturbed(study, rows)
    for number, params, _, epochs, objective, _ in table(rows):
        values = {
            epoch: json.loads(text)["iou"] for epoch, text in sorted(acknowledged(rows)[number].items())
        }
        assert values == {epoch: expected[number][epoch] for epoch in range(1, epochs + 1)}, params
        assert objective == values[epochs]
    if workers == 1:
        assert table(rows) == table(run_in_process(study).rows)
    assert store.problems == ()


def test_what_attempts_loaded_can_be_queried(tmp_path: Path) -> None:
    cluster = Cluster(store=tmp_path, study=a_study(trains), workers=3, seed=3)
    cluster.run()
    ended = TrialStore(tmp_path).sql(
        "select attempt, cast(detail->>'resumed_from_epoch' as int) as loaded, detail->>'passed_over' as why"
        " from events where kind = 'attempt_ended'"
    )
    assert (ended["loaded"] > 0).any()
    assert ended["loaded"][ended["attempt"] == 1].isna().all()
    assert ended["why"].dropna().str.contains("is not a snapshot, or is damaged").any()
