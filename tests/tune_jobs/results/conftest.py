"""What the tests of results share."""

from __future__ import annotations

import pytest
from every_ending import every_ending

from tune_jobs import RunResults, run_study


@pytest.fixture(scope="session")
def ended(tmp_path_factory: pytest.TempPathFactory) -> RunResults:
    """The results of a run whose trials ended in every way."""
    return run_study(every_ending(), store=tmp_path_factory.mktemp("store"), inline=True)
