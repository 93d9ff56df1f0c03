"""A study at one instant: its rows and frames agree with what the store says of it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from store_testing import (
    open_writer,
    whole_trial,
)

from tune_jobs.store.reader import TrialStore


@pytest.mark.parametrize("whole", [False, True])
def test_snapshot_of_a_study_holds_what_the_store_says_of_it(store: Path, whole: bool) -> None:
    reader = TrialStore(store)
    known = reader.read("s", whole=whole)
    assert known.definition == reader.definition("s")
    assert list(known.rows) == reader.rows("s")
    for table in ("trials", "reports", "starts", "events"):
        pd.testing.assert_frame_equal(getattr(known, table), getattr(reader, table)("s"))
    with open_writer(store) as writer:
        writer.append_many(whole_trial(2))
    assert len(known.trials) == 2  # a value: what is written later is not in it
