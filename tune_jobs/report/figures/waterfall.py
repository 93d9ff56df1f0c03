"""Where the time of a network's step goes: what each change took away, down to what the roofline needs.

The stages are those of `eml_models.latency.explaining.waterfall`, which the command ``latency`` stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eml_models.wording import listed
from tune_jobs.report.figures.colours import BLUE, GREEN, GREY, ORANGE, RED
from tune_jobs.report.figures.costs import untimed
from tune_jobs.report.figures.figure import WIDE, Figure, Spec, Undrawn
from tune_jobs.report.figures.marks import TIP, colours, distinct_texts, layer, names, numbers
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.tables import Table
from tune_jobs.store.columns.latency_rows import LatencyRow
from tune_jobs.study.json_fields import parse_object

NAME, TITLE = "waterfall", "Where the time of a step goes"

REAL_STEP = "real step"

MOST_PANELS = 4
"""Most networks that are drawn."""

WHOLE, LESS, MORE, MODEL, REST = (
    "the step as it ran",
    "taken away by a change",
    "added by a change",
    "needed at least (modelled)",
    "the rest",
)
SHADES = {WHOLE: GREY, LESS: BLUE, MORE: RED, MODEL: GREEN, REST: ORANGE}

Share = Mapping[str, Any]


def waterfall(seen: Seen) -> Figure | Undrawn:
    """The waterfalls of the newest run of ``latency`` that explained networks of the study."""
    rows = _newest(seen.latencies)
    if not rows:
        why = untimed(seen, "was explained", "measures and explains some")
        return Undrawn(name=NAME, title=TITLE, why=why)
    kept = rows[:MOST_PANELS]
    falls = {row.network: parse_object(row.waterfall or "{}") for row in kept}
    panels, values, table = [], [], []
    for index, (row, fall) in enumerate(zip(kept, falls.values(), strict=True)):
        bars = _bars(fall, f"w{index}")
        values += bars
        panels.append(_panel(row, [bar["name"] for bar in bars], f"w{index}"))
        total = float(fall["total_ms"])
        table.append((row.network, REAL_STEP, "", total, 1.0))
        table += [
            (row.network, s["name"], s["cause"], float(s["ms"]), float(s["ms"]) / total)
            for s in fall["shares"]
        ]
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            "The first bar is one step over a batch as a first program would run it: images from a loader, 16"
            " bits by autocast. Each bar below is the time that a further change took away, or added; the"
            " table says what that was. The last bars are what then remains: the least time that arithmetic"
            " and memory need on this device by a model (the roofline), and the rest."
        ),
        alt=" ".join(_largest(network, fall) for network, fall in falls.items()),
        table=Table(
            title="Shares of a step",
            columns=("network", "change", "what it took away", "ms", "share"),
            rows=tuple(table),
            shares=("share",),
        ),
        panels=panels,
        values=values,
        height=24 * max(len(fall["shares"]) + 1 for fall in falls.values()),
        least=WIDE,
        notes=(*_conditions(kept[0]), *_left(len(rows) - len(kept)), *_untestable(falls)),
    )


def _newest(latencies: Sequence[LatencyRow]) -> list[LatencyRow]:
    """The steps that the newest run explained, the one with the most MACs first."""
    explained = [row for row in latencies if row.waterfall is not None]
    newest = max(explained, key=lambda row: row.measured_at, default=None)
    found = [row for row in explained if newest is not None and row.run == newest.run]
    return sorted(found, key=lambda row: -row.macs)


def _bars(fall: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """The real step from 0, and each share from where the one before ended."""
    total = float(fall["total_ms"])
    texts = distinct_texts([REAL_STEP, *(share["name"] for share in fall["shares"])])
    bars, at = [_bar(kind, texts[REAL_STEP], WHOLE, at=total, ms=total, total=total)], total
    for share in fall["shares"]:
        ms = float(share["ms"])
        if not ms:  # such as depthwise convolutions of a network that has none
            continue
        bars.append(_bar(kind, texts[share["name"]], _what(share), at=at, ms=ms, total=total))
        at -= ms
    return bars


def _bar(kind: str, name: str, what: str, *, at: float, ms: float, total: float) -> dict[str, Any]:
    """A bar of `ms` that ends at `at`."""
    text = f"{ms:.3g} ms, {ms / total:.0%}"
    low, high = sorted((at - ms, at))
    tip = f"{name}: {text}"
    return {"kind": kind, "name": name, "what": what, "low": low, "high": high, "text": text, "tip": tip}


def _what(share: Share) -> str:
    if share["how"] == "modelled":
        return MODEL
    if share["how"] != "measured":
        return REST
    return LESS if share["ms"] >= 0 else MORE


def _panel(row: LatencyRow, order: Sequence[str], kind: str) -> Spec:
    x, y = numbers("low", "ms of a step", zero=True), names("name", None, scale={"domain": list(order)})
    y["axis"] = {"labelOverlap": False, "labelLimit": 150}
    shade = colours("what", SHADES)
    end = {"field": "high", "type": "quantitative"}
    text = {"type": "text", "align": "left", "dx": 4, "fontSize": 10}
    return {
        "title": f"{row.network}: {row.macs / 1e6:,.3g} M MACs, batch {row.batch_size}, {row.device_name}",
        "layer": [
            layer({"type": "bar"}, where=kind, x=x, x2={"field": "high"}, y=y, color=shade, description=TIP),
            layer(text, where=kind, x=end, y=y, text={"field": "text"}),
        ],
    }


def _largest(network: str, fall: Mapping[str, Any]) -> str:
    total = float(fall["total_ms"])
    first, *others = sorted(fall["shares"], key=lambda share: -share["ms"])[:3]
    parts = listed([f"{s['cause']} ({s['name']}) {s['ms'] / total:.0%}" for s in (first, *others)])
    return f"Of the {total:.3g} ms of {network}: {parts}."


def _conditions(row: LatencyRow) -> tuple[str, ...]:
    return (
        f"Medians of interleaved rounds on {row.device_name}, torch {row.torch_version},"
        f" {row.measured_at:%Y-%m-%d}.",
    )


def _left(more: int) -> tuple[str, ...]:
    return (f"{more} more networks are not drawn, those of the fewest MACs.",) if more else ()


def _untestable(falls: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """What the device does not have, each reason once."""
    reasons = dict.fromkeys((n, why) for fall in falls.values() for n, why in fall["untestable"].items())
    return tuple(f"Not tested: {name}: {str(why).rstrip('.')}." for name, why in reasons)
