"""The tables of finalists: each candidate against each baseline, and the recipes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest

from tune_jobs.report.finalists import candidates_table, for_people


def final_frame(values: Mapping[str, tuple[float | None, ...]]) -> pd.DataFrame:
    records = [
        {
            "param_candidate": name,
            "state": "failed" if value is None else "completed",
            "test_accuracy": value,
            "macs": len(name),
            "parameters": 7,
        }
        for name, seeds in values.items()
        for value in seeds
    ]
    return pd.DataFrame(records).astype({"test_accuracy": "float64"})


def final_definition(*baselines: str, others: tuple[str, ...]) -> dict[str, Any]:
    flags = [(name, False) for name in others] + [(name, True) for name in baselines]
    return {"candidates": [{"name": name, "changes": {}, "baseline": flag} for name, flag in flags]}


def test_candidates_are_compared_with_each_baseline_and_corrected_together() -> None:
    values = {
        "trial-1": (0.90, 0.91, 0.92),
        "trial-2": (0.80, 0.85, None),
        "resnet18": (0.80, 0.81, 0.82),
        "narrow": (0.70, 0.71, 0.72),
    }
    definition = final_definition("resnet18", "narrow", others=("trial-1", "trial-2"))
    table = candidates_table(final_frame(values), definition)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(r["candidate"], r["less"]) for r in rows] == [
        ("trial-1", "resnet18"),
        ("trial-1", "narrow"),
        ("trial-2", "resnet18"),
        ("trial-2", "narrow"),
        ("resnet18", None),
        ("narrow", None),
    ]
    assert [(r["n"], r["failed"]) for r in rows[::2]] == [(3, 0), (2, 1), (3, 0)]
    first = rows[0]
    # equal spread: Welch with 4 degrees of freedom, t = 0.1 / sqrt(2 * 1e-4 / 3) = 12.247
    half = 2.7764 * (2 * 1e-4 / 3) ** 0.5
    assert (first["difference"], first["diff_low"]) == (
        pytest.approx(0.1),
        pytest.approx(0.1 - half, abs=1e-6),
    )
    assert first["p"] == pytest.approx(3 * 0.000255, rel=0.01)  # the second smallest of four
    assert [r["verdict"] for r in rows[:4]] == ["significant"] * 2 + ["not significant"] * 2
    assert "Holm over 4" in table.title
    shown = for_people(table)
    assert shown.rows[0][:3] == ("trial-1", 3, "0.9100 [0.8852, 0.9348]")
    assert "failed" in shown.columns
    assert "low" not in shown.columns
    assert [row[0] for row in shown.rows] == list(dict.fromkeys(r["candidate"] for r in rows))
    below = str(shown.rows[0][-1]).splitlines()
    assert below[0] == "less resnet18: 0.1000 [0.0773, 0.1227], p 0.0007657, significant"
    assert len(below) == 2
    assert shown.rows[-1][-1] is None


def test_title_counts_the_comparisons_that_are_corrected_for() -> None:
    values = {"trial-1": (0.90, 0.91), "trial-2": (0.8,), "resnet18": (0.80, 0.81), "narrow": (0.7, 0.71)}
    definition = final_definition("resnet18", "narrow", others=("trial-1", "trial-2"))
    table = candidates_table(final_frame(values), definition)
    verdicts = [row[-1] for row in table.rows if row[-1] is not None]
    assert verdicts.count("cannot be judged") == 2
    assert len(verdicts) == 4
    assert table.title.endswith("p by Holm over 2")


def test_candidates_without_a_test_yet_are_rows_too() -> None:
    definition = final_definition("resnet18", others=("trial-1", "trial-2"))
    table = candidates_table(final_frame({"trial-1": (0.9,), "resnet18": (None,)}), definition)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(r["candidate"], r["n"], r["failed"], r["less"]) for r in rows] == [
        ("trial-1", 1, 0, None),
        ("trial-2", 0, 0, None),
        ("resnet18", 0, 1, None),
    ]
    assert rows[0]["test_accuracy"] == 0.9
    assert rows[0]["low"] is None
