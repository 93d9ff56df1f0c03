"""The names and types of the columns that views and frames add for metrics of own training.

Files hold all metrics of a report as one JSON text. In the views of `query` and in the frames of `TrialStore`
each metric has a column of its own, by one rule for the tables `reports` and `trials`. Numbers are doubles,
so that a metric keeps its type when a report holds a whole number. A metric whose values have several types
has a column for each type: the numbers have its plain name, the truth values ``NAME_bool``, and the texts
``NAME_string``. So a text in any report of any study leaves the numbers numbers. Without numbers the truth
values have the plain name, and the texts if nothing else is there.

A query looks at the reports of all studies, a frame of one study at its own. Pure functions; called by
`own_metrics`, `queries` and `frames`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tune_jobs.store.columns.schema import SCHEMAS
from tune_jobs.study.same_names import alike, fold, spelled

METRICS = "metrics"
TABLES_WITH_METRICS = ("reports", "trials")
PREFIX = "metric_"

NUMBER, TRUTH, TEXT = "double", "bool", "string"
KINDS = {NUMBER: "numbers", TRUTH: "truth values", TEXT: "texts"}
"""The types of columns of metrics, each in words; the first that a metric has gets its plain name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMetric:
    """The values of one type of a metric of own training.

    Attributes:
        is_mixed: whether the metric has values of other types too, which have other columns.
    """

    name: str
    kind: str
    is_mixed: bool = False


def metric_columns(
    kinds: Mapping[str, Collection[str]], *, taken_too: Iterable[str] = ()
) -> dict[str, OwnMetric]:
    """The metrics by their columns: a metric has its own name, if no table with metrics has such a column.

    SQL ignores the case of letters in names. A metric gets `PREFIX` where a column has its name. Where
    metrics differ only by case, the column of each says where its capitals are.

    Args:
        kinds: the types of the values of each metric (`KINDS`); none if all of them are null.
        taken_too: columns that the views add for parameters.
    """
    one_for_sql = {name for group in alike(kinds) for name in group}
    taken = {fold(name) for table in TABLES_WITH_METRICS for name in SCHEMAS[table].names}
    taken |= {fold(name) for name in taken_too}
    found: dict[str, OwnMetric] = {}
    for name, kind, is_first in _in_order(kinds):
        column = spelled(name) if name in one_for_sql else name
        column = column if is_first else f"{column}_{kind}"
        while fold(column) in taken:
            column = PREFIX + column
        taken.add(fold(column))
        found[column] = OwnMetric(name=name, kind=kind, is_mixed=len(kinds[name]) > 1)
    order = list(KINDS)
    return dict(sorted(found.items(), key=lambda item: (item[1].name, order.index(item[1].kind))))


def _in_order(kinds: Mapping[str, Collection[str]]) -> list[tuple[str, str, bool]]:
    """Each metric with each of its types, and whether this type has its plain name; those come first."""
    known = [
        (name, kind, place == 0)
        for name in sorted(kinds)
        for place, kind in enumerate([kind for kind in KINDS if kind in kinds[name]] or [NUMBER])
    ]
    return sorted(known, key=lambda one: not one[2])
