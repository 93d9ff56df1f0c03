"""What may guide a search: rules between the objectives of a study and its method.

Pure functions, called by `tune_jobs.study.definition`. Early stopping needs a report to go by, latency a mode
to measure it in, and the test set guides nothing.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from eml_models.training.final_report import FINAL_METRICS
from tune_jobs.study.method import Asha, LatencyMode, Limits, SamplerName
from tune_jobs.study.objective import (
    LATENCY,
    Objective,
)


def rung_problems(objectives: Sequence[Objective], rungs: Sequence[int], costs: Container[str]) -> list[str]:
    """Problems of early stopping where training reports no objective at all.

    Args:
        costs: the names of the costs of own training, as far as they are known.
    """
    names = [objective.metric for objective in objectives]
    if not rungs or not names or not all(name in costs for name in names):
        return []
    return [
        f"ASHA compares what training reports, and each objective ({', '.join(names)}) is a cost, which is"
        f" known before the training; add a metric, as in --objectives METRIC:max,{names[0]}:min, or search"
        " without ASHA (asha=None, --no-asha)"
    ]


def latency_problems(
    objectives: Sequence[Objective], limits: Limits, latency: LatencyMode | None
) -> list[str]:
    """Problems of a latency that is wanted and that no worker of a recipe measures."""
    wanted = LATENCY in [objective.metric for objective in objectives] or limits.max_latency_ms is not None
    if not wanted or latency is not None:
        return []
    return ["latency as an objective or a limit needs a mode to measure it in; give --measure-latency"]


def final_metric_problems(
    objectives: Sequence[Objective], sampler: SamplerName, asha: Asha | None
) -> list[str]:
    """Problems of a search on results of the test set, which must not guide it."""
    final = [o.metric for o in objectives if o.metric in FINAL_METRICS and not o.own]
    looks = asha is not None or sampler not in (SamplerName.GRID, SamplerName.RANDOM)
    if not final or not looks:
        return []
    return [
        f"{final[0]} is measured once, after training, and must not guide a search; it needs --sampler grid"
        f" or random, and no ASHA, got sampler {sampler}{'' if asha is None else ' with ASHA'}"
    ]
