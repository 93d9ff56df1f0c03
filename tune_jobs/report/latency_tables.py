"""The findings of a campaign of latency measurements, as tables, sentences and a JSON document.

Measures nothing and judges nothing; `eml_models.latency` does. Called by `tune_jobs.cli.latency_commands`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from eml_models.latency.bench.cases import Case
from eml_models.latency.counting.operators import OperatorCounts
from eml_models.latency.counting.roofline import DEVICES, estimate_roofline
from eml_models.latency.explaining.campaign import CampaignResult, Timed
from eml_models.latency.explaining.waterfall import Share
from eml_models.latency.measuring.modes import Precision
from eml_models.latency.measuring.timing import Measurement
from eml_models.wording import count_of
from tune_jobs.report.column_numbers import column_format
from tune_jobs.report.tables import Table

LARGEST_SHARES = 3
"""The number of shares of a waterfall that a sentence names."""

NAMED_MODES = 3
"""The number of modes that a note names for each reason of skipping."""


def describe_networks(result: CampaignResult) -> Table:
    """The counts of each network that need no hardware."""
    reference = max(counts.macs for counts in result.counts.values())
    inputs = {network.name: network.shown_input for network in result.campaign.networks}
    rows = tuple(
        (
            network,
            inputs.get(network, "-"),
            counts.macs,
            f"{reference / counts.macs:.1f}x",
            counts.activations,
            counts.num_bytes,
            f"{counts.intensity:.1f}",
            counts.kernels,
        )
        for network, counts in result.counts.items()
    )
    return Table(
        columns=("network", "input", "MACs", "fewer", "conv outputs", "bytes", "FLOP/byte", "kernels"),
        rows=rows,
        millions=("MACs", "conv outputs", "bytes"),
        title="Counted without hardware: one image in fp32",
    )


def describe_rooflines(result: CampaignResult) -> Table:
    """The least time of each network on some GPUs, by a model."""
    return Table(
        columns=("network", *(f"{name} ms" for name in DEVICES)),
        rows=tuple(
            (network, *(_gpu_ms(counts, name) for name in DEVICES))
            for network, counts in result.counts.items()
        ),
        title="Roofline, modelled: the least time of one image in TF32",
    )


def describe_modes(result: CampaignResult, *, with_untimed: bool = True) -> Table:
    """Every mode that was timed, in the order of network, batch size and time.

    Args:
        with_untimed: show also the modes that could not be timed, each with the reason, after the others of
            their network and batch size. Modes that the device does not have are never shown.
    """
    order = {network: index for index, network in enumerate(result.counts)}

    def place(timed: Timed) -> tuple[int, int, float]:
        case = timed.case
        return order[case.network.name], case.batch_size, timed.measurement.median_ms

    placed: list[tuple[tuple[int, int, float], tuple[object, ...]]] = []
    for case, reason in result.untimed if with_untimed else ():
        head = (case.network.name, case.batch_size, str(case.mode), case.allocator.value)
        kernels = [_kernels_of(case)] if result.campaign.on_cuda else []
        where = (order[case.network.name], case.batch_size, math.inf)
        placed.append((where, (*head, *kernels, "-", "-", 0, "-", reason)))
    quartiles = [ms for timed in result.table for ms in (timed.measurement.q1_ms, timed.measurement.q3_ms)]
    spec = column_format(quartiles, decimals=2)
    for timed in result.table:
        case, measured = timed.case, timed.measurement
        row = (
            case.network.name,
            measured.batch_size,
            str(case.mode),
            case.allocator.value,
            *([_kernels_of(case)] if result.campaign.on_cuda else []),
            measured.median_ms,
            f"{measured.q1_ms:{spec}}..{measured.q3_ms:{spec}}",
            measured.n,
            _times(result.speed_up(timed), digits=2),
            _short_notes(measured),
        )
        placed.append((place(timed), row))
    cudnn = ("cuDNN",) if result.campaign.on_cuda else ()
    columns = ("network", "batch", "mode", "allocator", *cudnn, "ms", "quartiles", "n", "speed-up", "notes")
    return Table(
        columns=columns,
        rows=tuple(row for _, row in sorted(placed, key=lambda one: one[0])),
        groups=("network", "batch"),
        title="Measured: one call over a batch (allocator: glibc's default, or keeping freed memory)",
    )


def describe_waterfalls(result: CampaignResult) -> Table:
    """The networks' waterfalls side by side: milliseconds and their share of the real step."""
    names: dict[str, Share] = {}
    for waterfall in result.waterfalls:
        names |= {share.name: share for share in waterfall.shares if share.name not in names}
    rows: list[tuple[object, ...]] = []
    for name in _in_order(result):
        share = names[name]
        cells = [w.find(name) for w in result.waterfalls]
        rows.append(
            (
                name,
                share.cause,
                share.hypothesis.value,
                share.kind.value,
                *(
                    "-" if s is None else _share_of(s.ms, w.total_ms)
                    for s, w in zip(cells, result.waterfalls, strict=True)
                ),
            )
        )
    totals = [f"{w.total_ms:.2f} (100%)" for w in result.waterfalls]
    rows.append(("real step", "sum of the above", "", "measured", *totals))
    batch = result.waterfalls[0].batch_size if result.waterfalls else 0
    return Table(
        columns=("what was changed", "what it took away", "", "how", *(w.network for w in result.waterfalls)),
        rows=tuple(rows),
        below=("what it took away",),
        title=f"Waterfall: ms of a step over a batch of {batch}, and the time that each change took away",
    )


def describe_fastest(result: CampaignResult) -> Table:
    """Each network before and after, and the share of the speed-up by MACs that it reaches."""
    reference = result.reference
    rows = []
    for batch_size in result.campaign.batch_sizes:
        for network in result.counts:
            before, after = (get(network, batch_size) for get in (result.before, result.fastest))
            promised = result.counts[reference].macs / result.counts[network].macs
            gains = [result.gain(get, network, batch_size) for get in (result.before, result.fastest)]
            rows.append(
                (
                    network,
                    batch_size,
                    "-" if before is None else before.measurement.median_ms,
                    "-" if after is None else str(after.case.mode),
                    *(
                        [_kernels_of(None if after is None else after.case)]
                        if result.campaign.on_cuda
                        else []
                    ),
                    "-" if after is None else after.measurement.median_ms,
                    _times(None if after is None else result.speed_up(after), digits=2),
                    f"{promised:.1f}x",
                    *("-" if gain is None else f"{gain:.1f}x ({gain / promised:.0%})" for gain in gains),
                )
            )
    kernels = ("cuDNN",) if result.campaign.on_cuda else ()
    columns = (
        *("network", "batch", "before ms", "fastest mode", *kernels, "ms", "gained", "by MACs"),
        *("before", "after"),
    )
    return Table(
        columns=columns,
        rows=tuple(rows),
        groups=("batch",),
        below=("fastest mode",),
        title=f"Fastest (by MACs, before, after: times faster than {reference}, and the share reached)",
    )


def iter_verdict_lines(result: CampaignResult) -> Iterator[str]:
    """The verdict on each hypothesis, with its evidence."""
    for verdict in result.verdicts:
        yield f"({verdict.hypothesis.value}) {verdict.title}: {verdict.outcome.value.upper()}"
        for sentence in verdict.evidence:
            yield f"      {sentence}"


def iter_summary_lines(result: CampaignResult) -> Iterator[str]:
    """A sentence for each network: its speed-up by MACs and by measurement, and where its time went."""
    reference = result.reference
    for waterfall in result.waterfalls:
        network = waterfall.network
        if network == reference:
            continue
        promised = result.counts[reference].macs / result.counts[network].macs
        batch_size = max(result.campaign.batch_sizes)
        gains = [result.gain(get, network, batch_size) for get in (result.before, result.fastest)]
        parts = sorted(waterfall.shares, key=lambda share: -share.ms)[:LARGEST_SHARES]
        causes = ", ".join(f"{s.cause} ({s.name}) {s.ms / waterfall.total_ms:.0%}" for s in parts)
        yield (
            f"{network} has {promised:.1f}x fewer MACs than {reference}. Over a batch of {batch_size} it is"
            f" {_times(gains[0])} as fast as it stands, and {_times(gains[1])} with both in their fastest"
            f" modes. Most of its step: {causes}"
        )


def iter_note_lines(result: CampaignResult) -> Iterator[str]:
    """Notes to the tables: the conditions, the tests that were not possible, the cases that were skipped."""
    yield describe_input(result)
    conditions = result.timed[0].measurement.conditions if result.timed else None
    if conditions is not None:
        clock = "" if conditions.clock_mhz is None else f", {conditions.clock_mhz:.0f} MHz"
        load = "" if conditions.load_average is None else f", load average {conditions.load_average:.1f}"
        yield (
            f"{conditions.device_name}{clock}, {conditions.threads} thread(s), torch"
            f" {conditions.torch_version}{load}; times are medians of interleaved rounds"
        )
    if result.ceilings is not None:
        rates = ", ".join(f"{p} {rate / 1e9:.0f} GFLOP/s" for p, rate in result.ceilings.flops.items())
        widest, narrowest = result.ceilings.bandwidth[0][1], result.ceilings.bandwidth[-1][1]
        yield f"measured ceilings: {rates}, memory {narrowest / 1e9:.0f} GB/s, cache {widest / 1e9:.0f} GB/s"
    for name, reason in dict.fromkeys(pair for w in result.waterfalls for pair in w.untestable):
        of = [w.network for w in result.waterfalls if (name, reason) in w.untestable]
        whose = "" if len(of) == len(result.waterfalls) else f" of {', '.join(of)}"
        yield f"not testable here: {name}{whose}: {reason}"
    yield from result.notes
    for reason in dict.fromkeys(reason for _, reason in result.skipped):
        cases = [case for case, other in result.skipped if other == reason]
        modes = list(dict.fromkeys(str(case.mode) for case in cases))
        rest = f" and {len(modes) - NAMED_MODES} more" if len(modes) > NAMED_MODES else ""
        yield f"skipped {count_of(len(cases), 'case')} ({', '.join(modes[:NAMED_MODES])}{rest}): {reason}"


def describe_input(result: CampaignResult) -> str:
    """A sentence on the images on which the networks were compared."""
    networks = result.campaign.networks
    classes = " or ".join(str(n) for n in sorted({network.num_classes for network in networks}))
    return f"every network takes images of {networks[0].shown_input}, for {classes} classes"


def as_document(result: CampaignResult) -> dict[str, Any]:
    """The whole result as plain JSON values."""
    return {
        "notes": list(iter_note_lines(result)),
        "networks": _records(describe_networks(result)),
        "rooflines": _records(describe_rooflines(result)),
        "ended": result.end.value,
        "measurements": _records(describe_modes(result, with_untimed=False)),
        "skipped": [{"case": case.key, "reason": reason} for case, reason in result.skipped],
        "waterfalls": [waterfall.as_dict() for waterfall in result.waterfalls],
        "verdicts": [
            {
                "hypothesis": v.hypothesis.value,
                "title": v.title,
                "outcome": v.outcome.value,
                "evidence": list(v.evidence),
            }
            for v in result.verdicts
        ],
        "summary": list(iter_summary_lines(result)),
        "fastest": _records(describe_fastest(result)),
    }


def _records(table: Table) -> list[dict[str, object]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def _in_order(result: CampaignResult) -> list[str]:
    """The names of all shares, in the order of the longest waterfall; further names follow."""
    longest = max(result.waterfalls, key=lambda w: len(w.shares), default=None)
    names = [] if longest is None else [share.name for share in longest.shares]
    rest = [s.name for w in result.waterfalls for s in w.shares if s.name not in names]
    return [*names, *dict.fromkeys(rest)]


def _kernels_of(case: Case | None) -> str:
    """Whether cuDNN searched for its kernels: the only difference between some rows of a GPU."""
    if case is None:
        return "-"
    return "searched" if case.kernel_search else "not searched"


def _times(factor: float | None, *, digits: int = 1) -> str:
    return "-" if factor is None else f"{factor:.{digits}f}x"


def _share_of(ms: float, total_ms: float) -> str:
    return f"{round(ms, 2) + 0.0:.2f} ({round(ms / total_ms, 2) + 0.0:.0%})"  # adding 0 turns -0.0 into 0.0


def _gpu_ms(counts: OperatorCounts, name: str) -> float:
    return estimate_roofline(counts, DEVICES[name], Precision.TF32).seconds * 1e3


def _short_notes(measured: Measurement) -> str:
    """A measurement's notes, with its noise as a single word."""
    return "; ".join([*measured.notes, *(["noisy"] if measured.noise else [])])
