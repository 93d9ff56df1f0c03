"""Objectives of a study: the metrics and costs that a search can improve, each with its better direction.

Frozen values. `tune_jobs.study.definition` checks the objectives of a whole study.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.training.final_report import FINAL_METRICS
from eml_models.wording import cut
from tune_jobs.study.same_names import fold


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


DIRECTION_WORDS = {"max": Direction.MAXIMIZE, "min": Direction.MINIMIZE, **{str(d): d for d in Direction}}
"""The words for a direction that a person may give."""

OWN_METRIC = re.compile(r"[^\x00-\x1f\x7f\"'\\*\ud800-\udfff]{1,100}")
"""The names that metrics of own training may have. SQL takes an asterisk for every name, and no file holds
half of a surrogate pair."""

NAME_RULE = (
    "1 to 100 characters, without quotes, backslashes, asterisks, control characters and halves of surrogate"
    " pairs"
)

EPOCH = "epoch"
"""The key of a report that is its number and no metric."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A quantity that a search improves.

    It is a metric of the reports, with its value at the last epoch, or a cost of the network.

    Attributes:
        metric: its name.
        direction: the direction in which its values are better, also as a word (``"max"``); None for that of
            a known metric.
        own: whether own training reports it, or its study's function of costs computes it. `Study` sets this.
    """

    metric: str = "val_accuracy"
    direction: Direction = None  # type: ignore[assignment]  # `__post_init__` puts the known one
    own: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not OWN_METRIC.fullmatch(self.metric):
            raise InvalidValueError(f"the name of a metric has {NAME_RULE}, got {cut(self.metric)}")
        if self.direction is None:
            if not has_direction(self.metric):
                known = UnknownNameError("objective", self.metric, [*METRICS, *COSTS])
                raise InvalidValueError(
                    f"{known} (a metric of own training needs a direction, as in Maximize({self.metric!r}))"
                )
            object.__setattr__(self, "direction", METRICS.get(self.metric, Direction.MINIMIZE))
        if not isinstance(self.direction, str) or self.direction not in DIRECTION_WORDS:
            raise UnknownNameError(f"direction of {self.metric!r}", self.direction, DIRECTION_WORDS)
        object.__setattr__(self, "direction", DIRECTION_WORDS[self.direction])

    @property
    def is_cost(self) -> bool:
        """Whether its value is known from the plan, before any training."""
        return not self.own and self.metric in COSTS

    def is_better(self, value: float, other: float) -> bool:
        """Whether `value` is strictly better than `other`."""
        return self.direction.sign * value < self.direction.sign * other


def Maximize(metric: str) -> Objective:
    """The objective whose larger values are better."""
    return Objective(metric, Direction.MAXIMIZE)


def Minimize(metric: str) -> Objective:
    """The objective whose smaller values are better."""
    return Objective(metric, Direction.MINIMIZE)


def read_objective(text: str) -> Objective:
    """The objective of ``METRIC``, ``METRIC:max`` or ``METRIC:min``.

    Raises:
        InvalidValueError: the metric is unknown and has no direction, or the direction is none.
    """
    metric, colon, word = text.strip().rpartition(":")
    if colon:
        return Objective(metric, word)  # type: ignore[arg-type]  # a word, which `Objective` reads
    if has_direction(word) or not OWN_METRIC.fullmatch(word):
        return Objective(word)
    unknown = UnknownNameError("objective", word, [*METRICS, *COSTS])
    raise InvalidValueError(f"{unknown} ({needs_direction(word)})")


def has_direction(metric: str) -> bool:
    """Whether the better direction of a metric is known without a word."""
    return metric in METRICS or metric in COSTS


def needs_direction(metric: str) -> str:
    """The rule for a metric of own training that is given without its direction, and the way out."""
    return f"a metric of own training needs a direction: {metric}:max or {metric}:min"


def as_objectives(given: object) -> tuple[Objective, ...]:
    """The objectives that a person gives: an `Objective`, a text for `read_objective`, or several of these.

    Several are a list, or texts between commas.

    Raises:
        InvalidValueError: it is something else, or a text names no objective.
    """
    if isinstance(given, str):
        items: Sequence[object] = given.split(",")
    else:
        items = given if isinstance(given, list | tuple) else [given]
    found = []
    for item in items:
        if not isinstance(item, str | Objective):
            raise InvalidValueError(
                f"objectives must be names or values of Objective, got {cut(item)}; write such as"
                ' objectives=("val_accuracy", "macs")'
            )
        found.append(read_objective(item) if isinstance(item, str) else item)
    return tuple(found)


def objective_problems(objectives: Sequence[Objective], *, own: bool) -> list[str]:
    """Problems of the objectives of a study; empty if they are valid.

    Args:
        own: whether the study's training is the user's own, so that any name may be a metric.
    """
    metrics = [objective.metric for objective in objectives]
    if not metrics:
        return ["a study needs at least one objective, got none"]
    problems = []
    if len({fold(metric) for metric in metrics}) != len(metrics):
        problems.append(f"objectives must differ (SQL ignores the case of letters), got {', '.join(metrics)}")
    if own:
        return [*problems, *(_epoch_problem(metric) for metric in metrics if metric == EPOCH)]
    for objective in objectives:
        problems += _known_problems(objective)
    if metrics[0] in (*COSTS, LATENCY):
        learned = [name for name in METRICS if name not in (*FINAL_METRICS, LATENCY)]
        problems.append(
            f"the first objective must be a result of training ({', '.join(learned)}), got"
            f" {metrics[0]!r}; put it second, as in val_accuracy,{metrics[0]}"
        )
    return problems


def _epoch_problem(metric: str) -> str:
    return (
        f"the objectives of own training are metrics and costs, got {metric!r}: in a report this is its"
        " number, and no metric; report the value under another name, such as best_epoch"
    )


def _known_problems(objective: Objective) -> list[str]:
    known = {**METRICS, **dict.fromkeys(COSTS, Direction.MINIMIZE)}
    if objective.metric not in known:
        unknown = UnknownNameError("objective", objective.metric, known)
        return [f"{unknown}; other metrics need own training (train=)"]
    if objective.direction is not known[objective.metric]:
        return [
            f"{objective.metric} of the shipped training is better if it is"
            f" {'larger' if known[objective.metric] is Direction.MAXIMIZE else 'smaller'}, got"
            f" {objective.direction}; leave the direction out"
        ]
    return []
