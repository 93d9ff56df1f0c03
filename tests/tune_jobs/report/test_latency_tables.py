"""What the tables of a GPU's latencies say beside a CPU's, with times written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from eml_models.latency.bench.cases import Case, Variant
from eml_models.latency.bench.ending import End
from eml_models.latency.explaining.campaign import Campaign, CampaignResult, Timed, before_case
from eml_models.latency.explaining.evidence import count_network
from eml_models.latency.explaining.waterfall import Waterfall
from eml_models.latency.measuring.conditions import Conditions
from eml_models.latency.measuring.modes import iter_all_modes, parse_mode
from eml_models.latency.measuring.timing import Measurement
from eml_models.networks.words import NetworkSpec
from tune_jobs.report import latency_tables
from tune_jobs.report.render import render

NETWORK = NetworkSpec(name="small", model="small_cnn", input_shape=(1, 8, 8))
MODES = tuple(map(parse_mode, ("fp16-weights/graph", "fp32")))
ON_CUDA = Campaign(networks=(NETWORK,), modes=MODES, batch_sizes=(8,), device="cuda")
CONDITIONS = Conditions(
    device="cuda",
    device_name="A100",
    torch_version="2.14.1",
    cudnn_version=91002,
    threads=1,
    allocator="default",
    clock_mhz=1410.0,
    load_average=None,
)


def timed(case: Case, ms: float, *, batch_size: int = 8) -> Timed:
    measurement = Measurement(
        mode=case.mode,
        batch_size=batch_size,
        requested_batch_size=case.batch_size,
        n=9,
        median_ms=ms,
        q1_ms=ms,
        q3_ms=ms,
        conditions=CONDITIONS,
    )
    return Timed(case=case, measurement=measurement)


def result_of(
    entries: Sequence[Timed], *, campaign: Campaign = ON_CUDA, skipped: Sequence[tuple[Case, str]] = ()
) -> CampaignResult:
    return CampaignResult(
        campaign=campaign,
        timed=tuple(entries),
        skipped=tuple(skipped),
        counts={NETWORK.name: count_network(NETWORK, 1)},
        ceilings=None,
        waterfalls=(),
        verdicts=(),
        notes=("small is not explained: memory",),
    )


BEFORE = before_case(NETWORK, 8, ON_CUDA)
GRAPH = Case(network=NETWORK, mode=MODES[0], batch_size=8, allocator=BEFORE.allocator)


def test_rows_that_differ_by_cudnns_search_alone_can_be_distinguished() -> None:
    cases = [BEFORE, GRAPH, replace(GRAPH, kernel_search=False)]
    result = result_of([timed(case, ms) for case, ms in zip(cases, (6.0, 3.0, 2.0), strict=True)])
    rows = [tuple(map(str, row[:5])) for row in latency_tables.describe_modes(result).rows]
    assert len(set(rows)) == 3
    document = latency_tables.as_document(result)
    assert [entry["cuDNN"] for entry in document["measurements"]] == [
        "not searched",
        "searched",
        "not searched",
    ]
    assert document["fastest"][0]["cuDNN"] == "not searched"
    assert document["fastest"][0]["gained"] == "3.00x"


def test_a_cpu_has_no_cudnn_to_tell_of() -> None:
    campaign = replace(ON_CUDA, device="cpu")
    result = result_of([timed(before_case(NETWORK, 8, campaign), 1.0)], campaign=campaign)
    for table in (latency_tables.describe_modes(result), latency_tables.describe_fastest(result)):
        assert "cuDNN" not in table.columns
        assert {len(row) for row in table.rows} == {len(table.columns)}


@pytest.mark.parametrize("halved", [True, False])
def test_what_could_not_be_timed_whole_is_a_dash(halved: bool) -> None:
    entries = [timed(BEFORE, 1.0, batch_size=4)] if halved else [timed(GRAPH, 1.0)]
    result = result_of(entries)
    (row,) = latency_tables.describe_fastest(result).rows
    assert row[2] == "-"
    assert latency_tables.describe_modes(result).rows[0][8] == "-"
    assert "small" in render(latency_tables.describe_fastest(result), "table")


def test_reasons_are_said_once_however_many_modes_they_hold_for() -> None:
    lacking = [
        Case(network=NETWORK, mode=mode, batch_size=8)
        for mode in iter_all_modes()
        if mode.execution == "graph"
    ]
    skipped = [*((case, "there are no graphs") for case in lacking), (GRAPH, "KeyError: 'x'")]
    lines = list(latency_tables.iter_note_lines(result_of([timed(BEFORE, 1.0)], skipped=skipped)))
    named = ", ".join(str(case.mode) for case in lacking[:3])
    assert [line for line in lines if line.startswith("skipped")] == [
        f"skipped 28 cases ({named} and 25 more): there are no graphs",
        "skipped 1 case (fp16-weights/nchw/graph): KeyError: 'x'",
    ]
    assert "small is not explained: memory" in lines


def test_a_case_that_never_was_timed_is_a_row_with_its_reason() -> None:
    died, absent = "the process that measures ended (exit code 3: no driver)", "there are no graphs"
    other = replace(GRAPH, mode=parse_mode("fp32/graph"))
    skeleton = replace(GRAPH, variant=Variant.SKELETON)
    result = replace(
        result_of([timed(BEFORE, 1.0)], skipped=[(GRAPH, died), (other, absent), (skeleton, died)]),
        lacking=frozenset({other.key}),
        end=End.TIME_LIMIT,
    )
    first, second = latency_tables.describe_modes(result).rows
    assert first[2] == str(BEFORE.mode)
    assert second == ("small", 8, str(GRAPH.mode), "default", "searched", "-", "-", 0, "-", died)
    document = latency_tables.as_document(result)
    assert document["ended"] == "time limit"
    assert len(document["measurements"]) == 1
    assert {"case": GRAPH.key, "reason": died} in document["skipped"]


def test_an_end_before_the_first_number_still_has_its_tables() -> None:
    reason = "not measured: the time limit of 0.1 minutes was reached"
    result = replace(result_of([], skipped=[(BEFORE, reason)]), end=End.TIME_LIMIT)
    (row,) = latency_tables.describe_modes(result).rows
    assert row[-1] == reason
    assert any(reason in line for line in latency_tables.iter_note_lines(result))
    assert "small" in render(latency_tables.describe_fastest(result), "table")
    assert latency_tables.as_document(result)["measurements"] == []


def test_what_one_network_alone_could_not_do_is_said_of_it() -> None:
    both, one = ("folded", "it cannot be traced"), ("compiled", "a batch of 128 does not fit: 64")
    waterfalls = tuple(
        Waterfall(network=name, batch_size=128, total_ms=1.0, shares=(), untestable=untestable)
        for name, untestable in (("small", (both, one)), ("large", (both,)))
    )
    lines = list(latency_tables.iter_note_lines(replace(result_of([]), waterfalls=waterfalls)))
    assert "not testable here: folded: it cannot be traced" in lines
    assert "not testable here: compiled of small: a batch of 128 does not fit: 64" in lines


def test_quartiles_of_a_column_have_one_format() -> None:
    table = latency_tables.describe_modes(result_of([timed(BEFORE, 9.876), timed(GRAPH, 123.4)]))
    at = table.columns.index("quartiles")
    assert [row[at] for row in table.rows] == ["9.88..9.88", "123.40..123.40"]
