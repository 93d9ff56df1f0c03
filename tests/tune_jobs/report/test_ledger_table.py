"""The ledger as a table."""

from __future__ import annotations

import pytest

from tune_jobs.report import ledger


def test_table_has_the_classes_with_seconds_and_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *others = ledger.CLASSES
    seconds = {first: 6.0, second: 2.0, **dict.fromkeys(others, 0.0)}
    monkeypatch.setattr("tune_jobs.report.ledger.account", lambda rows: seconds)
    table = ledger.ledger([])
    assert table.title == "where 8.0 worker-seconds went"
    assert table.rows == ((first, 6.0, 0.75), (second, 2.0, 0.25))
