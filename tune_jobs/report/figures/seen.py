"""The rows of a study as figures take them: its definition, its ended trials, its reports, its objectives.

A value that a snapshot of a store gives, and equally rows in memory. Called by every figure and by
`tune_jobs.report.findings`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC
from functools import cached_property
from typing import Any

import pandas as pd

from tune_jobs.analysis.factors import repeat_of
from tune_jobs.store.columns.latency_rows import LatencyRow
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.json_fields import params_from_json
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import ReportRow, Row, StartRow, State, TrialRow
from tune_jobs.study.stored import objectives_of


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A study at one instant.

    Attributes:
        name: of the study.
        rows: all its rows, by `seq`.
        latencies: timings of networks of its trials, and of those that were measured together with them. They
            lie beside the study in a store.
    """

    name: str
    definition: Mapping[str, Any]
    rows: Sequence[Row]
    latencies: Sequence[LatencyRow] = field(default=())

    @classmethod
    def of(cls, known: StudySnapshot, latencies: Sequence[LatencyRow] = ()) -> Seen:
        """The study of a snapshot."""
        return cls(name=known.study, definition=known.definition, rows=known.rows, latencies=latencies)

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives; the first decides which trial is the best."""
        return objectives_of(self.definition)

    @property
    def is_own(self) -> bool:
        """Whether the study has its own training function, of which only params and numbers are known."""
        return self.definition["train"] is not None

    @property
    def objective(self) -> Objective:
        """The first objective."""
        return self.objectives[0]

    @property
    def metric(self) -> str:
        """The name of the first objective."""
        return self.objective.metric

    @property
    def better(self) -> str:
        """The direction of the first objective in words."""
        return "higher is better" if self.objective.direction.sign < 0 else "lower is better"

    @cached_property
    def ends(self) -> tuple[TrialRow, ...]:
        """The end of each trial, by number; the first counts."""
        found: dict[int, TrialRow] = {}
        for row in self.rows:
            if isinstance(row, TrialRow):
                found.setdefault(row.number, row)
        return tuple(found[number] for number in sorted(found))

    @cached_property
    def scored(self) -> tuple[TrialRow, ...]:
        """The completed trials that have a value of the first objective."""
        return tuple(row for row in self.ends if row.state is State.COMPLETED and value_of(row) is not None)

    @cached_property
    def ranked(self) -> tuple[TrialRow, ...]:
        """`scored`, the best first; on ties the earlier comes first."""
        sign = self.objective.direction.sign
        return tuple(sorted(self.scored, key=lambda row: (sign * (row.objective or 0.0), row.number)))

    @cached_property
    def reports(self) -> tuple[ReportRow, ...]:
        """All reports, by `seq`."""
        return tuple(row for row in self.rows if isinstance(row, ReportRow))

    @cached_property
    def curves(self) -> dict[int, dict[int, ReportRow]]:
        """The reports of each trial by epoch; of a redone epoch the first counts, as for the search."""
        found: dict[int, dict[int, ReportRow]] = defaultdict(dict)
        for row in self.reports:
            found[row.number].setdefault(row.epoch, row)
        return dict(found)

    @cached_property
    def params(self) -> dict[int, Params]:
        """The params of each ended trial, by number, in the order of the space, without the repeat."""
        repeat = repeat_of(self.definition)
        order = [parameter["name"] for parameter in self.definition["space"] if parameter["name"] != repeat]
        return {row.number: _in_order(params_from_json(row.params), order) for row in self.ends}

    @cached_property
    def starts(self) -> tuple[StartRow, ...]:
        """The starts of attempts."""
        return tuple(row for row in self.rows if isinstance(row, StartRow))

    @cached_property
    def searched(self) -> tuple[Mapping[str, Any], ...]:
        """The parameters of two values or more, as the definition states them, in the order of the space."""
        repeat = repeat_of(self.definition)
        return tuple(p for p in self.definition["space"] if p["name"] != repeat and _may_vary(p))

    def values(self, row: TrialRow) -> dict[str, float]:
        """The objectives of a trial by name, without those that it lacks."""
        from tune_jobs.search.objectives import point_at_end

        point = point_at_end(self.objectives, row)
        return {} if point is None else {o.metric: v for o, v in zip(self.objectives, point, strict=True)}


def latencies_of(frame: pd.DataFrame, study: str) -> tuple[LatencyRow, ...]:
    """The timings of the runs that measured networks of a study, from the store's frame of all timings."""
    runs = set(frame.loc[frame["study"] == study, "run"])
    records = frame[frame["run"].isin(runs)].to_dict("records")
    names = [f.name for f in fields(LatencyRow)]
    return tuple(LatencyRow(**{name: _or_none(record[name]) for name in names}) for record in records)


def _or_none(value: Any) -> Any:
    """A cell of a frame as rows have it: instants in UTC."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime().replace(tzinfo=UTC)
    return None if pd.isna(value) else value


def value_of(row: TrialRow) -> float | None:
    """The first objective of a trial, if it has a finite one."""
    return row.objective if row.objective is not None and math.isfinite(row.objective) else None


def shown(value: object) -> str:
    """A value of a parameter as text; a number has four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def words_of(params: Mapping[str, object], most: int = 8) -> str:
    """``lr=0.1, head=plain``; after some params only their number."""
    words = [f"{name}={shown(value)}" for name, value in list(params.items())[:most]]
    left = len(params) - most
    return ", ".join([*words, *([f"and {left} more"] if left > 0 else [])])


def median(values: Iterable[float]) -> float:
    """The middle of at least one value."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _may_vary(parameter: Mapping[str, Any]) -> bool:
    if parameter["kind"] == "choice":
        return len(parameter["values"]) > 1
    return parameter["kind"] != "constant" and bool(parameter["low"] < parameter["high"])


def _in_order(params: Params, order: Sequence[str]) -> Params:
    return {name: params[name] for name in order if name in params}
