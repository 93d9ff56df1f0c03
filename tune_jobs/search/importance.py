"""The importance of parameters by PED-ANOVA, as Optuna computes it.

PED-ANOVA compares where the best trials lie in the space with where all completed trials lie.
Source: Watanabe, Bansal and Hutter 2023, arXiv:2304.10255. Called by `tune_jobs.report.figures.importance`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning

from eml_models.errors import InvalidValueError
from tune_jobs.search.optuna_copy import optuna_copy
from tune_jobs.study.rows import Row
from tune_jobs.study.stored import study_from_definition

NO_BEST = "Target and region quantiles select the same set of trials"
"""The start of Optuna's warning that the best tenth is all trials, because of ties."""

LEAST_TRIALS = 10
"""The least number of completed trials: of fewer the best tenth is a single trial."""


TARGET = 0.1
"""The part of the completed trials that counts as the best, Optuna's default."""

STABLE = 5
"""Fewer best trials than this give no steady result. Source: the docstring of Optuna's evaluator."""


def count_best(values: Sequence[float], sign: float) -> int:
    """How many of at least one value are the best tenth, as Optuna counts them: rounded up, with ties.

    Args:
        sign: +1 if smaller is better, -1 if larger.
    """
    ordered = sorted(sign * value for value in values)
    last = ordered[math.ceil(TARGET * len(ordered)) - 1]
    return sum(value <= last for value in ordered)


def importances(name: str, definition: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, float]:
    """The share of each parameter in the effects on the first objective, the largest first; 1 in sum.

    A parameter that some completed trials lack, because of a condition, counts by those that have it.

    Raises:
        InvalidValueError: the study needs parts that its own code registers.
            Or no best tenth stands out, as where all values are equal.
        ValueError: Optuna finds nothing to compare.
    """
    study = study_from_definition(name, definition)
    copy = optuna_copy(study, rows)
    sign = study.objective.direction.sign  # Optuna takes low values for good ones
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes the importances")
        warnings.filterwarnings("ignore", message="Some regimes for parameter")  # few trials have it
        warnings.filterwarnings("error", message=NO_BEST)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=TARGET)
        try:
            found = optuna.importance.get_param_importances(
                copy, evaluator=evaluator, target=lambda trial: sign * trial.values[0]
            )
        except UserWarning as error:  # Optuna would call all parameters equally important
            raise InvalidValueError(
                f"nearly all completed trials have the same {study.objective.metric}, so no best tenth"
                " differs from the rest"
            ) from error
    return {parameter: float(share) for parameter, share in found.items()}
