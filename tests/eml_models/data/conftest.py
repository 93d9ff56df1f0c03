"""Tests of data sets leave none of their own behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eml_models.data.datasets import custom_datasets, unregister_dataset


@pytest.fixture(autouse=True)
def leaves_no_data_set_behind() -> Iterator[None]:
    yield
    for spec in custom_datasets():
        unregister_dataset(spec.name)
