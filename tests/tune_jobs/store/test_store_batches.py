"""A batch is due at the first of its limits."""

from __future__ import annotations

import pytest
from store_testing import (
    report,
    start,
    trial,
)

from tune_jobs.store.batches import Batch, PublishPolicy
from tune_jobs.study.rows import Row


def test_defaults_are_the_documented_ones() -> None:
    assert PublishPolicy() == PublishPolicy(trials=64, reports=2048, seconds=30.0)


@pytest.mark.parametrize(
    ("rows", "now", "due"),
    [
        ([], 100.0, False),
        ([trial(0)], 100.0, False),
        ([trial(0), trial(1)], 100.0, True),
        ([report(0, epoch) for epoch in range(1, 4)], 100.0, False),
        ([report(0, epoch) for epoch in range(1, 5)], 100.0, True),
        ([start(0)] * 50, 129.9, False),
        ([start(0)], 130.0, True),
    ],
)
def test_a_batch_is_due_at_its_first_limit(rows: list[Row], now: float, due: bool) -> None:
    batch = Batch(name="b", since=100.0, rows=[])
    batch.add(rows)
    assert batch.rows == rows
    assert batch.is_due(PublishPolicy(trials=2, reports=4, seconds=30.0), now) is due
