"""A query is text, a file or stdin."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.inputs.sql_texts import read_sql


def test_a_query_is_text_a_file_or_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "q.sql"
    file.write_text("\ufeffselect 2\n", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO("select 3"))
    assert [read_sql(word) for word in ("select 1", f"@{file}", "-")] == [
        "select 1",
        "select 2\n",
        "select 3",
    ]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("-", "got no text from stdin; write it between quotes, as - with a query on stdin, or as @FILE"),
        (" ", "a query must be SQL, got no text from the argument"),
        ("@qury.sql", "after @ comes the path of a file with a query; did you mean 'query.sql'?"),
        ("@", "after @ comes the path of a file with a query"),
        ("@bytes.sql", "cannot read 'bytes.sql'"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(
    word: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "query.sql").write_text("select 1")
    (tmp_path / "bytes.sql").write_bytes(b"\xff\xfe\xff")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(InvalidValueError) as raised:
        read_sql(word)
    assert said in str(raised.value)
