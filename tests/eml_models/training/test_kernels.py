"""The choice of kernels by name."""

from __future__ import annotations

import os

import pytest

from eml_models import Recipe, fit
from eml_models.errors import UnknownNameError
from eml_models.training.kernels import REPEATABLE_CUBLAS, Kernels, prepare_process

RECIPE = Recipe(learning_rate=0.1, epochs=1, max_train_samples=256)


def test_an_unknown_choice_of_kernels_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="known: deterministic, default, searched"):
        fit(RECIPE, kernels="determinstic")


@pytest.mark.parametrize("kernels", list(Kernels))
def test_only_deterministic_kernels_set_cublas_and_a_users_value_stays(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    prepare_process(kernels)
    expected = REPEATABLE_CUBLAS if kernels is Kernels.DETERMINISTIC else None
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == expected
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    prepare_process(kernels)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
