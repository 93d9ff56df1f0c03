"""MACs against latency: fewer MACs are not less time, and by how much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eml_models.latency.measuring.modes import untouched_mode
from eml_models.wording import count_of
from tune_jobs.report.figures.colours import BLUE, GREY, ORANGE
from tune_jobs.report.figures.figure import Figure, Spec, Undrawn
from tune_jobs.report.figures.marks import TIP, colours, layer, numbers, prefixed
from tune_jobs.report.figures.seen import Seen, words_of
from tune_jobs.report.figures.thinning import note_of, thinned
from tune_jobs.report.tables import Table
from tune_jobs.store.columns.latency_rows import LatencyRow

NAME, TITLE = "latency", "MACs and latency"

IN_STUDY, PLAIN, FASTEST = "as the study measured it", "as torch runs it", "in its fastest mode"
SHADES = {IN_STUDY: BLUE, PLAIN: ORANGE, FASTEST: BLUE}

MOST_PANELS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A network, its MACs of one image, and its milliseconds of a batch; `panel` says of which."""

    panel: str
    name: str
    how: str
    macs: int
    ms: float


def latency(seen: Seen) -> Figure | Undrawn:
    """The networks of trials by their MACs and their measured time."""
    timed = _of_trials(seen) or _of_table(seen.latencies)
    if not timed:
        return Undrawn(
            name=NAME,
            title=TITLE,
            why=untimed(seen, "was timed", "measures some"),
        )
    panels = list(dict.fromkeys(item.panel for item in timed))[:MOST_PANELS]
    timed = [item for item in timed if item.panel in panels]
    kept = thinned(timed, lambda item: (math.log(item.macs), item.ms))
    quick = min(timed, key=lambda item: item.ms)
    networks = len({item.name for item in timed})
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            "A dot is a network. Grey lines are times in proportion to the MACs, from the network with the"
            " most MACs. Dots far above their line show that something else takes the time, such as launching"
            " kernels or moving memory."
        ),
        alt=(
            f"{count_of(networks, 'network')}; the quickest takes {quick.ms:.4g} ms with {quick.macs:,} MACs."
        ),
        table=Table(
            title="Networks",
            columns=("batch", "network", "mode", "macs", "latency_ms"),
            rows=tuple((item.panel, item.name, item.how, item.macs, item.ms) for item in kept),
            millions=("macs",),
        ),
        panels=[_panel([item for item in timed if item.panel == panel], panel) for panel in panels],
        values=[
            {
                "kind": item.panel,
                "how": item.how,
                "macs": item.macs,
                "ms": item.ms,
                "tip": f"{item.name}, {item.how}: {item.ms:.4g} ms, {item.macs:,} MACs",
            }
            for item in kept
        ],
        notes=note_of(len(kept), len(timed), "timings"),
    )


def untimed(seen: Seen, what: str, command_does: str) -> str:
    """Why a study has no timings, and the command that makes some, which refuses own training.

    Args:
        what: was not done to a network.
        command_does: what the command ``latency`` does.
    """
    if seen.is_own:
        return f"no network {what}: those of own training are known to its function alone"
    return f"no network of the study {what}: latency {seen.name}/best resnet18 {command_does}"


def _of_trials(seen: Seen) -> list[Timed]:
    return [
        Timed(
            panel="",
            name=f"trial {row.number} ({words_of(seen.params[row.number], 4)})",
            how=IN_STUDY,
            macs=row.macs,
            ms=row.latency_ms,
        )
        for row in seen.ends
        if row.macs and row.latency_ms
    ]


def _of_table(latencies: Sequence[LatencyRow]) -> list[Timed]:
    """The newest run of ``latency``: each whole network as it stands, and in its fastest mode, by batch."""
    newest = max(latencies, key=lambda row: row.measured_at, default=None)
    rows = [row for row in latencies if newest and row.run == newest.run and _is_usual(row)]
    found = []
    for batch in sorted({row.batch_size for row in rows}):
        of_batch = [row for row in rows if row.batch_size == batch]
        for network in sorted({row.network for row in of_batch}):
            own = [row for row in of_batch if row.network == network]
            fastest = min(own, key=lambda row: row.median_ms)
            plain = [(PLAIN, row) for row in own if _is_plain(row)][:1]
            found += [
                Timed(
                    panel=f"batch {batch}, {row.device_name}",
                    name=network,
                    how=how,
                    macs=row.macs,
                    ms=row.median_ms,
                )
                for how, row in (*plain, (FASTEST, fastest))
            ]
    return found


def _is_usual(row: LatencyRow) -> bool:
    """Whether a timing is of a whole network over a whole batch that is there."""
    return (
        row.variant == "whole"
        and row.source == "cached"
        and row.batch_size == row.requested_batch_size
        and row.macs > 0
    )


def _is_plain(row: LatencyRow) -> bool:
    """Whether torch runs a network so by default."""
    kind = row.device.partition(":")[0]
    return row.mode == str(untouched_mode(kind)) and row.allocator == "default"


def _panel(timed: Sequence[Timed], panel: str) -> Spec:
    x, y = numbers("macs", "MACs of one image"), numbers("ms", "latency, ms")
    x["scale"] = {"type": "log", "nice": False, "padding": 12}
    x["axis"] = prefixed(5)
    y["scale"] = {"type": "log", "nice": False, "padding": 14}
    y["axis"] = {"format": "~g", "tickCount": 5}
    modes = list(dict.fromkeys(item.how for item in timed))
    shade = colours("how", {how: SHADES[how] for how in modes})
    line = {"type": "line", "color": GREY, "strokeDash": [4, 4], "strokeWidth": 1, "clip": True}
    dots = {"type": "circle", "size": 60, "opacity": 0.8}
    return {
        **({"title": panel} if panel else {}),
        "layer": [
            layer(line, values=_in_proportion(timed), x=x, y=y, detail={"field": "how"}),
            layer(dots, where=panel, x=x, y=y, color=shade, description=TIP),
        ],
    }


def _in_proportion(timed: Sequence[Timed]) -> list[dict[str, object]]:
    """The times that the MACs alone would give, from the network with the most MACs, in each mode."""
    found: list[dict[str, object]] = []
    for how in dict.fromkeys(item.how for item in timed):
        own = [item for item in timed if item.how == how]
        most = max(own, key=lambda item: item.macs)
        least = min(item.macs for item in own)
        if least < most.macs:
            found += [
                {"how": how, "macs": macs, "ms": most.ms * macs / most.macs} for macs in (least, most.macs)
            ]
    return found
