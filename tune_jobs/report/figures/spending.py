"""Where the worker-seconds went, by the classes of `tune_jobs.analysis.ledger`."""

from __future__ import annotations

from eml_models.wording import duration_of
from tune_jobs.report.figures.colours import BLUE, GREEN, GREY, ORANGE, RED
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.marks import TIP, layer, names, numbers
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.ledger import ledger as ledger_table

NAME, TITLE = "ledger", "Where the seconds went"

SHADES = {"completed": BLUE, "stopped": ORANGE, "unfinished": GREEN, "failed": RED, "redone": RED}


def ledger(seen: Seen) -> Figure | Undrawn:
    """A bar for each class of worker-seconds."""
    table = ledger_table(seen.rows)
    if not table.rows:
        return Undrawn(name=NAME, title=TITLE, why="no session has spent time")
    rows = [(str(name), float(str(seconds)), float(str(share))) for name, seconds, share in table.rows]
    whole = sum(seconds for _, seconds, _ in rows)
    largest = max(rows, key=lambda row: row[1])
    x = numbers("s", "worker-seconds", zero=True)
    y = names("name", None, scale={"domain": [name for name, *_ in rows]})
    shade = {"field": "shade", "type": "nominal", "scale": None}
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            "A bar is a class of the time for which workers were held. Completed and stopped are training"
            " that was of use; failed and redone were lost; the others are the price of a trial."
        ),
        alt=f"The largest part is {largest[0]} with {largest[2]:.0%} of {duration_of(whole)}.",
        table=table,
        panels=[layer({"type": "bar"}, x=x, y=y, color=shade, description=TIP)],
        values=[
            {"name": name, "s": seconds, "shade": SHADES.get(name, GREY), "tip": f"{name}: {share:.1%}"}
            for name, seconds, share in rows
        ],
        height=max(60, 24 * len(rows)),
    )
