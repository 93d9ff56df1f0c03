"""The Grafana board, against what the driver sets: its names, its form, and its expressions by Prometheus.

`promtool`, which comes with Prometheus, evaluates each expression; without it those tests are skipped. Starts
no Ray and no Grafana.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tune_jobs.analysis.ledger import CLASSES
from tune_jobs.on_ray import prometheus

ROOT = Path(__file__).parents[3]
BOARD: dict[str, Any] = json.loads((ROOT / "docker" / "grafana-board.json").read_text())
PANELS: list[dict[str, Any]] = BOARD["panels"]
EXPRESSIONS = {
    (panel["title"], target["refId"]): target["expr"] for panel in PANELS for target in panel["targets"]
}
WORDS_OF_PROMQL = {"sum", "max", "avg", "by", "rate"}
UNITS = {"short", "ops", "s", "percentunit", "percent", "mbytes"}
"""Grafana's names of units; `mbytes` counts 1024 * 1024 bytes, as Ray does."""


class Series:
    """A gauge or a counter that keeps its labels."""

    made: dict[str, tuple[str, ...]]

    def __init__(self, name: str, *, description: str, tag_keys: tuple[str, ...]) -> None:
        self.made[name] = tag_keys


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, ...]]:
    """The labels of each series of a study, by the name that Prometheus sees."""

    class Counter(Series):
        def __init__(self, name: str, **words: Any) -> None:
            super().__init__(f"{name}_total", **words)

    monkeypatch.setattr(Series, "made", {}, raising=False)
    monkeypatch.setattr(prometheus, "Gauge", Series)
    monkeypatch.setattr(prometheus, "Counter", Counter)
    prometheus.StudyMetrics("one", [])
    return {f"ray_{name}": keys for name, keys in Series.made.items()}


def words_of(expression: str) -> set[str]:
    """The names and labels that an expression has, without texts, durations and PromQL's own words."""
    bare = re.sub(r'"[^"]*"|\[\w+\]', "", expression)
    return set(re.findall(r"\b[A-Za-z_]\w*", bare)) - WORDS_OF_PROMQL


@pytest.mark.parametrize("expression", EXPRESSIONS.values())
def test_an_expression_names_only_what_is_exported(
    expression: str, labels: dict[str, tuple[str, ...]]
) -> None:
    (metric,) = (word for word in words_of(expression) if word.startswith("ray_"))
    asked = words_of(expression) - {metric}
    if metric in labels:
        assert asked <= set(labels[metric])
        assert 'study=~"$study"' in expression
    else:  # one of Ray's own gauges of a node
        spec = find_spec("ray")
        assert spec is not None
        assert spec.origin is not None
        reporter = Path(spec.origin).parent / "dashboard" / "modules" / "reporter" / "reporter_agent.py"
        assert f'"{metric.removeprefix("ray_")}"' in reporter.read_text()
        assert asked <= {"instance", "GpuIndex"}


def test_each_series_of_a_study_is_on_the_board(labels: dict[str, tuple[str, ...]]) -> None:
    shown = set().union(*map(words_of, EXPRESSIONS.values()))
    assert labels.keys() <= shown


def test_classes_that_a_panel_names_are_those_of_the_ledger() -> None:
    (named,) = re.findall(r'ledger=~"([^"]+)"', " ".join(EXPRESSIONS.values()))
    assert set(named.split("|")) <= set(CLASSES)
    assert len(CLASSES) <= 12  # labels are few


def test_variable_is_read_from_a_series_that_has_the_label(labels: dict[str, tuple[str, ...]]) -> None:
    variables = {one["name"]: one for one in BOARD["templating"]["list"]}
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variables["study"]["query"]["query"])
    assert found is not None
    assert found[2] in labels[found[1]]
    assert variables["datasource"]["query"] == "prometheus"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_what_the_schema_of_grafana_asks_for(panel: dict[str, Any]) -> None:
    """By hand, from @grafana/schema 13.2.3: Grafana itself is in no registry of packages."""
    assert panel["type"] == "timeseries"
    assert panel["options"]["legend"].keys() >= {"calcs", "displayMode", "placement", "showLegend"}
    assert panel["options"]["tooltip"].keys() >= {"mode", "sort"}
    assert panel["fieldConfig"].keys() == {"defaults", "overrides"}
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["description"]
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert [source] * len(panel["targets"]) == [target["datasource"] for target in panel["targets"]]
    assert panel["datasource"] == source
    for target in panel["targets"]:
        named = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
        kept = re.search(r"\bby \(([^)]*)\)", target["expr"])
        assert kept is not None
        assert named == kept[1].split(", ")  # a label that is summed away would be empty


def test_panels_lie_beside_each_other() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
        assert one["x"] + one["w"] <= 24


def test_an_objective_below_zero_is_drawn() -> None:
    (panel,) = (panel for panel in PANELS if panel["title"] == "Best objective")
    assert "min" not in panel["fieldConfig"]["defaults"]


OF_RAY = 'Component="core_worker",SessionName="s",NodeAddress="10.0.0.1"'
SERIES = {
    'ray_tune_jobs_trials{study="a",state="running",WorkerId="1"}': "2x30",
    'ray_tune_jobs_trials{study="a",state="running",WorkerId="2"}': "3x30",  # a driver that continues
    'ray_tune_jobs_trials{study="b",state="running",WorkerId="3"}': "9x30",
    'ray_tune_jobs_trials_wanted{study="a",WorkerId="1"}': "8x30",
    'ray_tune_jobs_trials_wanted{study="a",WorkerId="2"}': "8x30",
    'ray_tune_jobs_best_objective{study="a",WorkerId="1"}': "-0.5x30",
    'ray_tune_jobs_reports_total{study="a",WorkerId="1"}': "0+20x30",
    'ray_tune_jobs_reports_total{study="a",WorkerId="2"}': "0+10x30",
    'ray_tune_jobs_worker_seconds{study="a",ledger="completed",WorkerId="1"}': "10x30",
    'ray_tune_jobs_worker_seconds{study="a",ledger="completed",WorkerId="2"}': "12x30",
    'ray_tune_jobs_worker_seconds{study="a",ledger="redone",WorkerId="2"}': "1x30",
    'ray_tune_jobs_worker_seconds{study="a",ledger="idle",WorkerId="2"}': "5x30",
    'ray_tune_jobs_feasible_share{study="a",WorkerId="1"}': "0.25x30",
    'ray_tune_jobs_gpu_busy_seconds{study="a",WorkerId="1"}': "7x30",
    'ray_node_gpus_utilization{instance="n:8080",GpuIndex="0",GpuUuid="u"}': "40x30",
    'ray_node_gram_used{instance="n:8080",GpuIndex="0",GpuUuid="u"}': "2048x30",
}
"""Ten seconds apart, with what Ray adds; for a short time a study has two drivers, the ended and the new."""

ANSWERS = {
    ("Trials by state", "A"): {'{study="a",state="running"}': 3},
    ("Trials by state", "B"): {'{study="a"}': 8},
    ("Best objective", "A"): {'{study="a"}': -0.5},
    ("Reports a second", "A"): {'{study="a"}': 3},
    ("Where the worker-seconds went", "A"): {
        '{ledger="completed"}': 12,
        '{ledger="redone"}': 1,
        '{ledger="idle"}': 5,
    },
    ("Share of proposals within the limits", "A"): {'{study="a"}': 0.25},
    ("GPU utilization of the card (NVML), by node", "A"): {'{instance="n:8080",GpuIndex="0"}': 40},
    ("GPU memory in use, by node", "A"): {'{instance="n:8080",GpuIndex="0"}': 2048},
    ("GPU busy with training, of the seconds of ended attempts", "A"): {'{study="a"}': 7},
    ("GPU busy with training, of the seconds of ended attempts", "B"): {'{study="a"}': 13},
}


def test_prometheus_answers_each_expression(tmp_path: Path) -> None:
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool, which comes with Prometheus, is not installed")
    assert ANSWERS.keys() == EXPRESSIONS.keys()
    given = [
        {"series": f"{name[:-1]},{OF_RAY}}}", "values": f"{values.split('x')[0]}+0x30"}
        if "+" not in values
        else {"series": f"{name[:-1]},{OF_RAY}}}", "values": values}
        for name, values in SERIES.items()
    ]
    asked = [
        {
            "expr": EXPRESSIONS[place].replace("$study", "(a|none)"),
            "eval_time": "4m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in answer.items()],
        }
        for place, answer in ANSWERS.items()
    ]
    tests = [{"interval": "10s", "input_series": given, "promql_expr_test": asked}]
    file = tmp_path / "board.json"  # which is YAML too
    file.write_text(json.dumps({"rule_files": [], "evaluation_interval": "10s", "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration() -> None:
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool, which comes with Prometheus, is not installed")
    words = [promtool, "check", "config", str(ROOT / "docker" / "prometheus.yaml")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
