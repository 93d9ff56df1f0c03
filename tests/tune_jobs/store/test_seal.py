"""The seal of a published file: plain to every reader, broken by any change, absent from others' files."""

from __future__ import annotations

import io
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from store_testing import trial

from tune_jobs.store.columns.convert import rows_to_arrow
from tune_jobs.store.format.publishing import parquet_bytes
from tune_jobs.store.format.seal import MARK, SealBrokenError, is_sealed, sealed

ROWS = rows_to_arrow("trials", [trial(number) for number in range(100)])
DATA = parquet_bytes("trials", ROWS)


def file_of(data: bytes) -> pa.PythonFile:
    return pa.PythonFile(io.BytesIO(data), mode="r")


def test_every_reader_reads_a_sealed_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    path.write_bytes(DATA)
    assert is_sealed(file_of(DATA))
    assert pq.read_table(path).equals(ROWS)
    assert pads.dataset(path).to_table(columns=["number"])["number"].to_pylist() == list(range(100))
    assert pd.read_parquet(path)["objective"].sum() == pytest.approx(49.5)
    assert pl.scan_parquet(path).filter(pl.col("number") > 97).collect()["number"].to_list() == [98, 99]
    assert duckdb.sql(f"select sum(number) from '{path}'").fetchall() == [(4950,)]


def test_what_another_program_writes_has_none(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "file.parquet")
    assert not is_sealed(file_of((tmp_path / "file.parquet").read_bytes()))


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1PAR1", b"\xff" * 100, b"PAR1" + b"\xff" * 8 + b"PAR1"])
def test_what_is_no_parquet_has_none(data: bytes) -> None:
    assert not is_sealed(file_of(data))


@pytest.mark.parametrize("where", [4, len(DATA) // 3, DATA.rindex(MARK) - 1, DATA.rindex(MARK) + 20])
def test_a_changed_byte_breaks_it(where: int) -> None:
    data = bytearray(DATA)
    data[where] ^= 1
    with pytest.raises(SealBrokenError, match="checksum"):
        is_sealed(file_of(bytes(data)))


def test_a_footer_that_is_larger_than_the_first_read_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_jobs.store.format.seal.WHOLE_BYTES", 40)
    assert is_sealed(file_of(DATA))
    data = bytearray(DATA)
    data[-200] ^= 1
    with pytest.raises(SealBrokenError, match="footer"):
        is_sealed(file_of(bytes(data)))


def test_it_adds_twelve_bytes() -> None:
    plain = io.BytesIO()
    pq.write_table(ROWS, plain)
    assert len(sealed(plain.getvalue())) == len(plain.getvalue()) + 12
