"""The answer to a query as tuples, equal to its frame."""

from __future__ import annotations

import pyarrow as pa

from tune_jobs.store.reading.answers import as_answer


def test_an_answer_has_pythons_own_values_and_none_for_missing() -> None:
    table = pa.table({"n": [1, None], "x": [0.5, 2.0], "names": [["a"], None]})
    answer = as_answer(table)
    assert answer.columns == ("n", "x", "names")
    assert answer.rows == ((1, 0.5, ["a"]), (None, 2.0, None))


def test_an_answer_without_rows_keeps_its_columns() -> None:
    answer = as_answer(pa.table({"n": pa.array([], pa.int64())}))
    assert (answer.columns, answer.rows) == (("n",), ())
