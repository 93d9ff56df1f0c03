"""Torchvision's networks are searched under a limit of MACs; larger ones are refused untrained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tune_jobs.inputs.user_code import load_study
from tune_jobs.study.rows import State
from tune_jobs.testing.in_process import run_in_process

FILE = Path(__file__).parents[2] / "examples" / "within_30m_macs.py"


def test_networks_within_the_limit_train_and_larger_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    study, code = load_study(f"{FILE}:study")
    assert code is not None
    module = code.load()
    images, labels = module.read_digits()
    few = (images[::9].repeat(9, 1, 1, 1)[:1420], labels[::9].repeat(9)[:1420])
    monkeypatch.setattr(module, "read_digits", lambda: few)
    log = run_in_process(study.with_changes(trials=3, epochs=1, asha=None))
    refused = [trial for trial in log.trials if trial.state is State.INFEASIBLE]
    trained = [trial for trial in log.trials if trial.state is State.COMPLETED]
    assert len(trained) == 3
    assert refused
    assert all(trial.macs is not None and trial.macs <= 30e6 for trial in trained)
    assert all(trial.macs is not None and trial.macs > 30e6 and trial.train_s == 0 for trial in refused)
    assert all(json.loads(trial.metrics)["macs"] == trial.macs for trial in trained)


@pytest.mark.parametrize(
    ("network", "width", "fits"),
    [("resnet18", None, False), ("mobilenet_v2", 1.0, True), ("mobilenet_v2", 4.0, False)],
)
def test_costs_say_which_networks_fit(network: str, width: float | None, fits: bool) -> None:
    study, _ = load_study(f"{FILE}:study")
    assert study.cost is not None
    costs = study.cost({"network": network, "lr": 1e-3, **({} if width is None else {"width": width})})
    assert (costs["macs"] <= 30e6) is fits
