"""The value of a table."""

from __future__ import annotations

from tune_jobs.report.tables import Table


def test_without_takes_columns_from_every_row_and_keeps_the_rest() -> None:
    table = Table(columns=("a", "b", "c"), rows=((1, 2, 3), (4, 5, 6)), title="t", note="n")
    assert table.without("b", "z") == Table(columns=("a", "c"), rows=((1, 3), (4, 6)), title="t", note="n")
