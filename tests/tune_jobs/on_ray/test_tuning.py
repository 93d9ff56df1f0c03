"""GPUs of a trial's first attempt, from what the user asks for and what the nodes have."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.session.settings import RunSettings
from tune_jobs.study.method import LatencyMode

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(
    ("settings", "nodes_have_gpus", "gpus"),
    [
        ({"device": "cpu"}, True, 0.0),
        ({}, True, 1.0),
        ({}, False, 0.0),
        ({"device": "cuda"}, False, 1.0),  # the run waits for a node, or refuses
        ({"gpus_per_trial": 0.25}, True, 0.25),
        ({"gpus_per_trial": 0}, True, 0.0),
    ],
)
def test_gpus_of_a_trial(
    settings: dict[str, object], nodes_have_gpus: bool, gpus: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tune_jobs.on_ray import tuning

    monkeypatch.setattr(tuning, "has_gpus", lambda: nodes_have_gpus)
    monkeypatch.setattr(tuning, "has_autoscaler", lambda: False)
    asked = replace(RunSettings(), **settings)  # type: ignore[arg-type]  # the cases have its fields
    signals = SimpleNamespace(arrived=False)
    part = tuning._part_of_gpu(digits_recipes(), None, asked, signals, None)
    assert part is not None
    assert part.gpus == gpus


def test_latency_is_measured_on_a_whole_gpu_without_a_measured_step(caplog: pytest.LogCaptureFixture) -> None:
    from tune_jobs.on_ray import tuning

    study = digits_recipes().with_changes(latency=LatencyMode())
    part = tuning._part_of_gpu(
        study, None, RunSettings(gpus_per_trial="auto"), SimpleNamespace(arrived=False), None
    )
    assert part is not None
    assert part.gpus == 1.0
    assert "each trial gets a whole GPU" in caplog.text
