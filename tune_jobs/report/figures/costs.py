"""MACs against latency: fewer MACs are not less time, and by how much."""

from __future__ import annotations

from eml_models.wording import count_of
from tune_jobs.report.figures.colours import BLUE
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.marks import TIP, layer, numbers
from tune_jobs.report.figures.seen import Seen, words_of
from tune_jobs.report.figures.thinning import note_of, thinned
from tune_jobs.report.tables import Table

NAME, TITLE = "latency", "MACs and latency"

Timed = tuple[str, int, float]
"""A network by name, its MACs of one image, and its milliseconds of a batch."""


def latency(seen: Seen) -> Figure | Undrawn:
    """The networks of trials by their MACs and their measured time."""
    timed = _of_trials(seen) or _of_table(seen)
    if not timed:
        return Undrawn(name=NAME, title=TITLE, why="no network of the study was timed")
    kept = thinned(timed, lambda item: (float(item[1]), item[2]))
    quick = min(timed, key=lambda item: item[2])
    x, y = numbers("macs", "MACs of one image"), numbers("ms", "latency, ms")
    x["scale"] = {"type": "log", "nice": False, "padding": 8}
    x["axis"] = {"format": "~s", "tickCount": 5}
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            "A dot is a network. Where dots do not fall with the MACs, something else takes the time, such as"
            " launching kernels or moving memory."
        ),
        alt=(
            f"{count_of(len(timed), 'network')}; the quickest takes {quick[2]:.4g} ms with {quick[1]:,} MACs."
        ),
        table=Table(
            title="Networks", columns=("network", "macs", "latency_ms"), rows=tuple(kept), millions=("macs",)
        ),
        panels=[
            layer({"type": "circle", "color": BLUE, "size": 40, "opacity": 0.7}, x=x, y=y, description=TIP)
        ],
        values=[{"macs": macs, "ms": ms, "tip": f"{name}: {ms:.4g} ms"} for name, macs, ms in kept],
        notes=note_of(len(kept), len(timed), "networks"),
    )


def _of_trials(seen: Seen) -> list[Timed]:
    return [
        (f"trial {row.number} ({words_of(seen.params[row.number], 4)})", row.macs, row.latency_ms)
        for row in seen.ends
        if row.macs and row.latency_ms
    ]


def _of_table(seen: Seen) -> list[Timed]:
    """Timings that lie beside the study: the quickest mode of each network with one image."""
    found: dict[str, Timed] = {}
    for row in seen.latencies:
        if row.batch_size == 1 and (row.network not in found or row.median_ms < found[row.network][2]):
            found[row.network] = (row.network, row.macs, row.median_ms)
    return [item for item in found.values() if item[1] > 0]
