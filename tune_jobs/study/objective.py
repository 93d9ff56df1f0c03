"""Objectives of a study: the metrics and costs that a search can improve, each with its better direction.

Frozen values. `tune_jobs.study.definition` checks the objectives of a whole study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from eml_models.errors import UnknownNameError
from eml_models.training.final_report import FINAL_METRICS


class Direction(StrEnum):
    """The direction in which values of an objective are better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    @property
    def sign(self) -> float:
        """+1 to minimize and -1 to maximize, so that less of ``sign * value`` is better."""
        return -1.0 if self is Direction.MAXIMIZE else 1.0


METRICS = {
    "val_accuracy": Direction.MAXIMIZE,
    "val_loss": Direction.MINIMIZE,
    "train_accuracy": Direction.MAXIMIZE,
    "train_loss": Direction.MINIMIZE,
    "test_accuracy": Direction.MAXIMIZE,
    "latency_ms": Direction.MINIMIZE,
}
"""The metrics of a report that can be objectives, each with its better direction."""

LATENCY = "latency_ms"
"""The metric that a worker measures once in an attempt, in the mode that the study declares."""

COSTS = ("macs", "parameters", "activations", "traffic_bytes")
"""The costs of a network, known from its plan (`tune_jobs.feasible.cost.NetworkCost`); less is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A quantity that a search improves.

    It is a metric of the reports, with its value at the last epoch, or a cost of the network.
    """

    metric: str = "val_accuracy"

    def __post_init__(self) -> None:
        if self.metric not in METRICS and not self.is_cost:
            raise UnknownNameError("objective", self.metric, [*METRICS, *COSTS])

    @property
    def direction(self) -> Direction:
        """The direction in which its values are better."""
        return Direction.MINIMIZE if self.is_cost else METRICS[self.metric]

    @property
    def is_cost(self) -> bool:
        """Whether its value is known from the plan, before any training."""
        return self.metric in COSTS

    def is_better(self, value: float, other: float) -> bool:
        """Whether `value` is strictly better than `other`."""
        return self.direction.sign * value < self.direction.sign * other


def objective_problems(metrics: Sequence[str]) -> list[str]:
    """Problems of the objectives of a study, by their metrics; empty if they are valid."""
    if not metrics:
        return ["a study needs at least one objective, got none"]
    problems = []
    if len(set(metrics)) != len(metrics):
        problems.append(f"objectives must differ, got {', '.join(metrics)}")
    if metrics[0] in (*COSTS, LATENCY):
        learned = [name for name in METRICS if name not in (*FINAL_METRICS, LATENCY)]
        problems.append(
            f"the first objective must be a result of training ({', '.join(learned)}), got"
            f" {metrics[0]!r}; put it second, as in val_accuracy,{metrics[0]}"
        )
    return problems
