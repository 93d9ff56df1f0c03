"""Two trainings that the tests of this folder share: each is run once in a session."""

from __future__ import annotations

import pytest
from exporting_testing import SMALL, STAMPS, Trained, train

from eml_models.data.datasets import register_dataset, unregister_dataset


@pytest.fixture(scope="session", params=["digits", "stamps", "digits-bf16"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A trained network; its data set is forgotten again where it is one of the test's own."""
    name, _, precision = request.param.partition("-")
    register_dataset(STAMPS)
    recipe = SMALL.with_changes(dataset=name, precision=precision or "fp32")
    found = train(recipe, tmp_path_factory.mktemp(request.param))
    unregister_dataset("stamps")
    assert found.val_accuracy > 0.7
    return found


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(SMALL, tmp_path_factory.mktemp("digits"))
