"""Figures of timings: what is compared, where the time of a step went, and what the store keeps of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from figures_testing import seen_of
from store_testing import LATENCY

from eml_models.errors import InvalidValueError
from tune_jobs.report.figures.catalog import figure_of
from tune_jobs.report.figures.drawing import can_draw
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.seen import Seen, latencies_of
from tune_jobs.report.figures.waterfall import LESS, MODEL, MORE, REST, WHOLE
from tune_jobs.store.columns.latency_rows import LatencyRow
from tune_jobs.store.latencies import append_latencies
from tune_jobs.store.reader import TrialStore

MARKUP = "<script>"


def share(name: str, ms: float, how: str = "measured") -> dict[str, Any]:
    return {"name": name, "cause": f"{MARKUP} {name}", "hypothesis": None, "how": how, "ms": ms}


SHARES = (
    share("cached batch", 5.0),
    share("fp32", -2.0),
    share("folded", 3.0),
    share("roofline, all else", 1.0, "modelled"),
    share("above the roofline", 3.0, "measured less modelled"),
)
FALL = {"total_ms": 10.0, "shares": SHARES, "untestable": {"graph replay": f"a CPU has none of {MARKUP}."}}


def timing(ms: float = 10.0, **changes: Any) -> LatencyRow:
    times = {"median_ms": ms, "q1_ms": ms, "q3_ms": ms, "requested_batch_size": 32}
    return replace(LATENCY, **{"network": "drawn/3", "study": "drawn", "number": 3, **times, **changes})


EXPLAINED = timing(source="loader", waterfall=json.dumps(FALL))
REFERENCE = timing(40.0, network="resnet18", study=None, number=None, macs=500_000_000)


def seen_with(*rows: LatencyRow) -> Seen:
    return replace(seen_of(3), latencies=rows)


def drawn(name: str, *rows: LatencyRow) -> Figure:
    found = figure_of(seen_with(*rows), name)
    assert isinstance(found, Figure), found
    return found


def test_bars_of_a_waterfall_go_from_the_whole_step_to_nothing() -> None:
    bars = drawn("waterfall", EXPLAINED).values
    assert [(bar["low"], bar["high"]) for bar in bars] == [(0, 10), (5, 10), (5, 7), (4, 7), (3, 4), (0, 3)]
    assert [bar["what"] for bar in bars] == [WHOLE, LESS, MORE, LESS, MODEL, REST]
    assert [bar["text"] for bar in bars[:3]] == ["10 ms, 100%", "5 ms, 50%", "-2 ms, -20%"]


def test_waterfall_is_words_and_a_table_too() -> None:
    figure = drawn("waterfall", EXPLAINED)
    assert [row[3] for row in figure.table.rows] == [10.0, *(one["ms"] for one in SHARES)]
    assert "(cached batch) 50%" in figure.alt
    assert any(note.startswith("Not tested: graph replay: ") for note in figure.notes)
    assert any("a CPU, torch 2.14.1" in note for note in figure.notes)


def test_waterfalls_are_those_of_the_newest_run_and_the_largest_network_first() -> None:
    older = replace(
        EXPLAINED, run="0000", network="old", measured_at=EXPLAINED.measured_at.replace(year=2020)
    )
    others = [replace(EXPLAINED, network=f"n{index}", macs=index) for index in range(5)]
    figure = drawn("waterfall", older, EXPLAINED, *others)
    assert list(dict.fromkeys(row[0] for row in figure.table.rows)) == ["drawn/3", "n4", "n3", "n2"]
    assert len(figure.panels) == 4
    assert any("2 more networks" in note for note in figure.notes)


@pytest.mark.parametrize("name", ["waterfall", "latency"])
def test_study_without_timings_says_how_to_get_them(name: str) -> None:
    own = seen_of(3)
    found = figure_of(replace(own, definition={**own.definition, "train": None}), name)
    assert isinstance(found, Undrawn)
    assert "latency drawn/best resnet18" in found.why
    refused = figure_of(own, name)  # the command refuses own training
    assert isinstance(refused, Undrawn)
    assert refused.why.endswith("those of own training are known to its function alone")


def test_latency_compares_whole_networks_over_whole_batches_of_one_run() -> None:
    rows = (
        timing(10.0),
        timing(6.0, mode="bf16-weights/nchw/eager"),
        timing(1.0, variant="skeleton"),
        timing(2.0, batch_size=16),
        timing(3.0, source="loader"),
        timing(4.0, run="0000", measured_at=LATENCY.measured_at.replace(year=2020)),
        REFERENCE,
    )
    table = drawn("latency", *rows).table
    assert sorted(table.rows, key=lambda row: float(str(row[4]))) == [
        ("batch 32, a CPU", "drawn/3", "in its fastest mode", LATENCY.macs, 6.0),
        ("batch 32, a CPU", "drawn/3", "as torch runs it", LATENCY.macs, 10.0),
        ("batch 32, a CPU", "resnet18", "as torch runs it", 500_000_000, 40.0),
        ("batch 32, a CPU", "resnet18", "in its fastest mode", 500_000_000, 40.0),
    ]


def test_lines_of_proportion_begin_at_the_network_with_the_most_macs() -> None:
    figure = drawn("latency", timing(10.0), REFERENCE)
    ends = figure.panels[0]["layer"][0]["data"]["values"]
    least = 40 * LATENCY.macs / 500_000_000
    assert {(end["macs"], end["ms"]) for end in ends} == {(LATENCY.macs, least), (500_000_000, 40.0)}


def test_stored_timings_of_a_study_come_with_the_networks_beside_them(tmp_path: Path) -> None:
    append_latencies(tmp_path, [EXPLAINED, REFERENCE])
    append_latencies(tmp_path, [replace(REFERENCE, run="0002")])
    found = latencies_of(TrialStore(tmp_path).latencies(), "drawn")
    assert sorted(found, key=lambda row: row.network) == [EXPLAINED, REFERENCE]


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        json.dumps({**FALL, "total_ms": 0}),
        json.dumps({**FALL, "shares": [{"name": "folded"}]}),
        json.dumps({**FALL, "shares": {"ms": 1.0}}),
        json.dumps({"total_ms": 1.0, "shares": []}),
    ],
)
def test_waterfall_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="waterfall"):
        timing(waterfall=text)


@pytest.mark.skipif(not can_draw(), reason="the extra figures is not installed")
@pytest.mark.parametrize("name", ["waterfall", "latency"])
def test_pictures_of_timings_are_drawn_without_markup(name: str) -> None:
    rows = [replace(row, network=f"{MARKUP}{row.network}") for row in (EXPLAINED, timing(9.0), REFERENCE)]
    svg = drawn(name, *rows).svg()
    assert MARKUP not in svg
    assert "&lt;script&gt;" in svg
