"""Finalists and baselines: the test accuracy of each with its interval over seeds."""

from __future__ import annotations

import pandas as pd

from tune_jobs.report.figures.colours import BLUE
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.marks import TIP, distinct_texts, layer, names, numbers
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.finalists import candidates_table
from tune_jobs.study.json_fields import params_from_json

NAME, TITLE = "finalists", "Finalists with intervals"

COLUMNS = ("state", "test_accuracy", "macs", "parameters")


def finalists(seen: Seen) -> Figure | Undrawn:
    """The mean test accuracy of each candidate and its 95 % interval."""
    if not seen.definition["candidates"]:
        return Undrawn(name=NAME, title=TITLE, why="the study compares no finalists")
    table = candidates_table(_frame(seen), seen.definition)
    rows: dict[str, dict[str, object]] = {}
    for cells in table.rows:
        row = dict(zip(table.columns, cells, strict=True))
        if row["test_accuracy"] is not None:
            rows.setdefault(str(row["candidate"]), row)
    if not rows:
        return Undrawn(name=NAME, title=TITLE, why="no candidate has a test accuracy yet")
    x = numbers("mean", "test accuracy")
    texts = distinct_texts(list(rows))
    y = names("name", None, scale={"domain": list(texts.values())})
    first, best = next(iter(rows.items()))
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            "A dot is the mean over seeds, and the line its 95 % interval (Student's t). Intervals that"
            " overlap do not distinguish candidates; the table has the tests of differences."
        ),
        alt=f"The most accurate of {len(rows)} candidates is {first}: {best['test_accuracy']:.4f}.",
        table=table,
        panels=[
            {
                "layer": [
                    layer(
                        {"type": "rule", "color": BLUE, "strokeWidth": 2},
                        where="interval",
                        x=numbers("low", "test accuracy"),
                        x2={"field": "high"},
                        y=y,
                    ),
                    layer(
                        {"type": "circle", "size": 80, "color": BLUE, "opacity": 1}, x=x, y=y, description=TIP
                    ),
                ]
            }
        ],
        values=[
            {
                "kind": "interval" if row["low"] is not None else "mean",
                "name": texts[name],
                "mean": row["test_accuracy"],
                "low": row["low"],
                "high": row["high"],
                "tip": f"{name}: {row['test_accuracy']:.4f}, n {row['n']}",
            }
            for name, row in rows.items()
        ],
        height=max(70, 30 * len(rows)),
    )


def _frame(seen: Seen) -> pd.DataFrame:
    """The ended trials as the table of candidates reads them."""
    records = [
        {
            **{name: getattr(row, name) for name in COLUMNS},
            "param_candidate": params_from_json(row.params).get("candidate"),
        }
        for row in seen.ends
    ]
    return pd.DataFrame(records, columns=[*COLUMNS, "param_candidate"])
