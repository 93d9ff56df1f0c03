"""CSV read strictly, cell by cell."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.inputs.csv_cells import read_csv


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_cells_with_commas_quotes_and_lines_are_read_whole(end: str) -> None:
    text = end.join(["a,b", '"x, ""y""",1', '"two\nlines",', '"",2', "", ""])
    assert read_csv(text) == [
        {"a": 'x, "y"', "b": "1"},
        {"a": "two\nlines", "b": None},
        {"a": "", "b": "2"},
    ]


def test_column_without_a_name_that_counts_the_rows_is_left_out() -> None:
    assert read_csv(",a\n0,x\n1,y\n") == [{"a": "x"}, {"a": "y"}]


def test_text_without_rows_is_empty() -> None:
    assert read_csv("") == []
    assert read_csv("\n\n") == []
    assert read_csv("a,b\n") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1\n2,3,4\n", "line 2 has 1 cells, the header has 2\n  - line 3 has 3 cells"),
        ("a,a\n1,2\n", "two columns are called 'a'; delete one of them"),
        ("a;b\n1;2\n", "cells must be separated by commas, got 'a;b'"),
        ('a\n"open\n', "line 2 is no CSV"),
        (",a\nx,1\n", "column 1 has no name in the header; name it, or delete the column"),
    ],
)
def test_what_python_would_guess_is_an_error(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        read_csv(text)
    assert message in str(caught.value)
