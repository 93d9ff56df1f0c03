"""One study at one instant: its definition, its rows, and the same rows as frames.

A page reads a study once and takes all its tables from the snapshot, so that they are of the same instant
even while a run is writing. The snapshot is a value: it holds no open file and reads nothing later. Made by
`reader`, used by reports, pages and the board.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow as pa

from tune_jobs.store.columns.convert import rows_to_arrow
from tune_jobs.store.columns.metrics import TABLES_WITH_METRICS, OwnMetric
from tune_jobs.store.columns.params import OwnParam, own_params_of, param_types
from tune_jobs.store.columns.schema import ROW_TYPE_OF, columns_of
from tune_jobs.store.files.holders import Hold
from tune_jobs.store.reading.frames import as_frame, with_own_params
from tune_jobs.store.reading.own_metrics import find_metrics, with_own_metrics
from tune_jobs.study.definition import Study
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.rows import Row, as_json_text


@dataclass(frozen=True, kw_only=True)
class StudySnapshot:
    """One study at one instant; each frame is made from its table when it is first used.

    Attributes:
        definition: the study's definition.
        rows: every acknowledged row, over all tables, in `seq` order.
        tables: the same rows as Arrow data, by the names of the tables.
        own_params: the study's parameters that have no column of their type in the files, by their columns.
        hold: the lock of the study, if a process has it or died with it; None if it is free.
    """

    study: str
    definition: Mapping[str, Any]
    rows: Sequence[Row]
    tables: Mapping[str, pa.Table]
    own_params: Mapping[str, OwnParam]
    hold: Hold | None = None

    @cached_property
    def own_metrics(self) -> Mapping[str, OwnMetric]:
        """The metrics of own training, by their columns in the frames of reports and trials."""
        if self.definition.get("train") is None:
            return {}
        return find_metrics({name: self.tables[name] for name in TABLES_WITH_METRICS}, self.own_params)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The frame that `TrialStore.trials` returns; the other three properties are alike."""
        return study_frame("trials", self.tables["trials"], self.own_params, self.own_metrics)

    @cached_property
    def reports(self) -> pd.DataFrame:
        return study_frame("reports", self.tables["reports"], self.own_params, self.own_metrics)

    @cached_property
    def starts(self) -> pd.DataFrame:
        return study_frame("starts", self.tables["starts"], self.own_params)

    @cached_property
    def events(self) -> pd.DataFrame:
        return study_frame("events", self.tables["events"], self.own_params)


def snapshot_of(study: Study, rows: Sequence[Row]) -> StudySnapshot:
    """A study of these rows, in `seq` order, without a look at the store."""
    types = param_types(study.space, own=study.train is not None)
    return StudySnapshot(
        study=study.name,
        definition=parse_object(as_json_text(study.definition())),
        rows=tuple(rows),
        tables=tables_of(rows),
        own_params=own_params_of([types]),
    )


def study_frame(
    table: str,
    rows: pa.Table,
    own_params: Mapping[str, OwnParam],
    own_metrics: Mapping[str, OwnMetric] | None = None,
) -> pd.DataFrame:
    """Rows of a table as a frame, with a typed column for each parameter and metric that is a user's own.

    Args:
        own_metrics: of a table that has metrics.
    """
    required = [column.name for column in columns_of(table) if not column.optional]
    typed = with_own_metrics(with_own_params(rows, own_params), own_metrics or {})
    return as_frame(typed, required=required)


def tables_of(rows: Sequence[Row]) -> dict[str, pa.Table]:
    """Rows as Arrow data, by table."""
    own: dict[str, list[Row]] = {name: [] for name in ROW_TYPE_OF}
    for row in rows:
        own[row.table].append(row)
    return {name: rows_to_arrow(name, found) for name, found in own.items()}
