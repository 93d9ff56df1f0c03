"""The example for Weights & Biases makes a run per trial; its package is played, as it needs an account."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from every_ending import every_ending

from tune_jobs import run_study

ROOT = Path(__file__).parents[2]


class PlayedRun:
    """A run that notes what it gets."""

    def __init__(self, **options: Any) -> None:
        self.options, self.summary, self.exit_code = options, dict[str, Any](), -1
        self.logged: list[tuple[int, dict[str, Any]]] = []

    def log(self, metrics: dict[str, Any], *, step: int) -> None:
        self.logged.append((step, metrics))

    def finish(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code


def test_each_trial_with_a_report_is_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[PlayedRun] = []

    def init(**options: Any) -> PlayedRun:
        runs.append(PlayedRun(**options))
        return runs[-1]

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))  # type: ignore[arg-type]  # as a module
    monkeypatch.syspath_prepend(ROOT / "examples")
    from with_wandb import WandB

    study = every_ending(trials=6)
    results = run_study(study, store=tmp_path, inline=True, callbacks=[WandB("p")], on_note=pytest.fail)
    assert {run.options["id"] for run in runs} == {f"cells-{n}" for n in set(results.reports["number"])}
    (best,) = [run for run in runs if run.options["id"] == f"cells-{results.best.number}"]
    assert [step for step, _ in best.logged] == list(range(1, 10))
    assert best.summary["iou"] == results.best.value
    failed = results.failures
    failed_ids = {f"cells-{n}" for n in failed[failed["epochs"] > 0]["number"]}
    assert {run.options["id"] for run in runs if run.exit_code == 1} == failed_ids
