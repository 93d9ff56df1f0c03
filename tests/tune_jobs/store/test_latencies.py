"""The table `latencies`: whole files that every reader sees, in stores of any age."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest
from store_testing import LATENCY, NOON, open_writer, start

from eml_models.errors import InvalidValueError
from tune_jobs import TrialStore
from tune_jobs.analysis.stored_predictor import fit_from_store
from tune_jobs.errors import StoreError
from tune_jobs.store.columns.latency_rows import LatencyRow
from tune_jobs.store.latencies import append_latencies, prepare_table


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = append_latencies(
        tmp_path, [LATENCY, replace(LATENCY, mode="fp32/channels_last/eager", median_ms=40.0)]
    )
    assert file is not None
    assert Path(file).is_file()
    frame = TrialStore(tmp_path).latencies()
    assert list(frame["median_ms"]) == [40.5, 40.0]
    first = frame.iloc[0]
    for name in ("network", "macs", "folded", "n", "notes", "torch_version"):
        assert first[name] == getattr(LATENCY, name)
    assert pd.isna(first["clock_mhz"])
    assert first["measured_at"] == pd.Timestamp(NOON).tz_localize(None)


def test_other_readers_read_the_files_as_they_are(tmp_path: Path) -> None:
    append_latencies(tmp_path, [LATENCY])
    append_latencies(tmp_path, [replace(LATENCY, run="0002", device="cuda", cudnn_version=92400)])
    pattern = str(tmp_path / "latencies/*/*.parquet")
    assert len(pd.read_parquet(tmp_path / "latencies")) == 2
    assert pl.scan_parquet(pattern).collect().height == 2
    assert duckdb.sql(f"select count(*) from '{pattern}'").fetchall() == [(2,)]


def test_a_store_of_latencies_alone_can_be_asked_and_then_hold_a_study(tmp_path: Path) -> None:
    append_latencies(tmp_path, [LATENCY])
    store = TrialStore(tmp_path)
    assert len(store.trials()) == len(store.studies()) == 0
    with open_writer(tmp_path) as writer:
        writer.append(start(0))
    answer = store.sql("select network, median_ms, (select count(*) from starts) as starts from latencies")
    assert answer.to_dict("records") == [{"network": "mobilenet-30m", "median_ms": 40.5, "starts": 1}]


def test_a_store_without_the_table_has_no_rows_of_it(tmp_path: Path) -> None:
    with open_writer(tmp_path):
        pass
    assert not (tmp_path / "latencies").exists()
    store = TrialStore(tmp_path)
    assert len(store.latencies()) == 0
    assert "q3_ms" in store.latencies().columns
    assert len(store.sql("select * from latencies")) == 0


def test_a_damaged_file_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    append_latencies(tmp_path, [LATENCY])
    damaged = tmp_path / "latencies/device_slug=d-cpu/damaged.parquet"
    damaged.write_bytes(b"PAR1 and nothing more")
    store = TrialStore(tmp_path)
    assert len(store.latencies()) == len(store.sql("from latencies")) == 1
    assert len(store.problems) == 1
    assert "damaged.parquet" in store.problems[0]


def test_no_rows_write_nothing(tmp_path: Path) -> None:
    assert append_latencies(tmp_path / "store", []) is None
    assert not (tmp_path / "store").exists()


def test_a_store_that_cannot_be_written_is_told_before_measuring(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="A store is a folder"):
        prepare_table(tmp_path / "file")


def timed_networks(count: int, **changes: object) -> list[LatencyRow]:
    """Networks whose time is a microsecond a kernel and a nanosecond a byte."""
    rows = []
    for number in range(count):
        row = replace(LATENCY, options=f'{{"n":{number}}}', kernels=50 + 7 * number % 90, macs=10**6 + number)
        ms = 0.001 * row.kernels + 1e-6 * row.traffic_bytes
        row = replace(row, median_ms=ms, q1_ms=ms, q3_ms=ms)
        rows.append(replace(row, **changes))  # type: ignore[arg-type]  # fields by name
    return rows


def test_a_predictor_is_fitted_to_comparable_rows_alone(tmp_path: Path) -> None:
    append_latencies(tmp_path, timed_networks(30))
    others = [replace(r, allocator="other", median_ms=900.0, q3_ms=900.0) for r in timed_networks(12)]
    append_latencies(tmp_path, [replace(row, run="0002") for row in others])
    probes = [replace(r, variant="skeleton", median_ms=900.0, q3_ms=900.0) for r in timed_networks(30)]
    append_latencies(tmp_path, [replace(row, run="0003") for row in probes])
    unsearched = [replace(r, kernel_search=False, median_ms=900.0, q3_ms=900.0) for r in timed_networks(12)]
    append_latencies(tmp_path, [replace(row, run="0004") for row in unsearched])
    predictor = fit_from_store(TrialStore(tmp_path), mode="fp32/nchw/eager", batch_size=32)
    assert predictor.num_networks == 30
    assert predictor.quality.p95_error < 1e-6
    with pytest.raises(InvalidValueError, match="got 0"):
        fit_from_store(TrialStore(tmp_path), mode="fp32/nchw/eager", batch_size=1)
