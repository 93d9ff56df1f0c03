"""Stores that outlive a job."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.store.files.protocol import require_lasting_store

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_relative_store_is_refused_and_a_lasting_one_is_not() -> None:
    with pytest.raises(
        InvalidValueError, match="'trials' is a relative path, and the working folder of a job is removed"
    ):
        require_lasting_store("trials")
    require_lasting_store("/shared/trials")
    require_lasting_store("s3://bucket/trials")
