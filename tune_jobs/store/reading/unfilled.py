"""Columns that no study of a store fills; the views of `query` list them last.

Files have a column for each parameter of the shipped spaces, and for each metric and cost of a recipe, in
every store alike. For a store of own training alone, most of these hold nothing. So ``describe`` and
``select *`` begin with what the studies of this store can fill. Looks at definitions, not at rows, so that
the order stays while a study runs. Called by `reader`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tune_jobs.store.columns.metrics import OwnMetric
from tune_jobs.store.columns.schema import PARAM_COLUMNS, PARAM_PREFIX, StudyRow
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.objective import COSTS
from tune_jobs.study.rows import METRICS_OF_REPORTS

COUNTED_BY_US = frozenset({"epoch_s", "elapsed_s", "peak_memory_bytes"})
"""Metrics of a report that do not come from the training itself, so that every study has them."""

OF_RECIPES = (METRICS_OF_REPORTS - COUNTED_BY_US) | {*COSTS, "data_fingerprint"}
"""Columns that the training of a recipe fills. Own training fills one by a metric or a cost of its name."""


def unfilled_columns(studies: Collection[StudyRow], own_metrics: Iterable[OwnMetric]) -> frozenset[str]:
    """The columns that no row of these studies fills; none if there is no study yet."""
    if not studies:
        return frozenset()
    kinds = {known for study in studies for known in parse_object(study.params).items()}
    params = {PARAM_PREFIX + name for name, kind in PARAM_COLUMNS.items() if (name, kind) not in kinds}
    if not all(map(trains_itself, studies)):
        return frozenset(params)
    return frozenset(params | (OF_RECIPES - {metric.name for metric in own_metrics}))


def trains_itself(study: StudyRow) -> bool:
    """Whether a study trains by a function of its own, so that its reports have metrics of its own."""
    return parse_object(study.definition).get("train") is not None
