"""The choice of eager steps or graphs by name."""

from __future__ import annotations

import pytest

from eml_models import Recipe, fit
from eml_models.errors import UnknownNameError
from eml_models.training.execution import Execution, reason_to_stay_eager
from eml_models.training.optimizers import OPTIMIZERS

RECIPE = Recipe(learning_rate=0.1, epochs=1, max_train_samples=64)


def test_an_unknown_execution_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="known: eager, auto"):
        fit(RECIPE, execution="eagre")


def test_only_rmsprop_in_fp16_has_no_graph_from_the_start() -> None:
    without = [
        (optimizer, precision)
        for optimizer in OPTIMIZERS
        for precision in ("fp32", "bf16", "fp16")
        if reason_to_stay_eager(optimizer, precision) is not None
    ]
    assert without == [("rmsprop", "fp16")]


@pytest.mark.parametrize("execution", list(Execution))
def test_a_training_on_a_cpu_is_eager_and_gives_no_reason(execution: Execution) -> None:
    training = fit(RECIPE, execution=execution)
    next(training)
    assert (training.execution, training.eager_because) == ("eager", None)
