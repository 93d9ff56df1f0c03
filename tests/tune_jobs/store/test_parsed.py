"""A study that is read again and again: a stamp says when, and each published file is parsed once."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from store_testing import EACH_TRIAL, LATENCY, NEVER, open_writer, whole_trial, write_trials

from tune_jobs.store.files.objects import CACHE_VARIABLE
from tune_jobs.store.latencies import append_latencies
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading import parsed as parsed_module
from tune_jobs.store.reading.parsed import ParsedFiles
from tune_jobs.store.upkeep.compact import compact_study
from tune_jobs.store.upkeep.deletion import delete_study


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    place = f"memory://bucket/{secrets.token_hex(4)}" if request.param == "bucket" else str(tmp_path / "s")
    with open_writer(place, policy=EACH_TRIAL) as writer:
        writer.append_many(whole_trial(0))
    return place


def test_stamp_changes_with_each_row_and_rests_with_the_store(store: str) -> None:
    reader = TrialStore(store)
    seen = [reader.stamp("s")]
    with open_writer(store, policy=NEVER) as writer:
        for row in whole_trial(1):
            writer.append(row)
            seen.append(reader.stamp("s"))
            assert reader.stamp("s") == seen[-1]
    seen.append(reader.stamp("s"))
    assert len(set(seen)) == len(seen)
    assert TrialStore(store).stamp("s") == seen[-1]


@pytest.mark.parametrize("change", [compact_study, delete_study])
def test_stamp_changes_when_files_are_exchanged_or_removed(
    change: Callable[[str, str], object], tmp_path: Path
) -> None:
    write_trials(tmp_path, 3)
    write_trials(tmp_path, 1, study="other")
    reader = TrialStore(tmp_path)
    one, all_of_them, other = reader.stamp("s"), reader.stamp(), reader.stamp("other")
    change(str(tmp_path), "s")
    assert reader.stamp("s") != one
    assert reader.stamp() != all_of_them
    assert reader.stamp("other") == other


def test_stamp_changes_with_a_timing_of_a_network(store: str) -> None:
    reader = TrialStore(store)
    before = reader.stamp("s")
    append_latencies(store, [LATENCY])
    assert reader.stamp("s") != before


def test_rows_are_the_same_with_parsed_files(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, parsed = TrialStore(store), ParsedFiles()
    for number in (1, 2, 3):
        with open_writer(store, policy=EACH_TRIAL) as writer:
            writer.append_many(whole_trial(number))
            writer.append(whole_trial(number + 10)[0])  # stays in the journal
            known, again = reader.read("s", parsed=parsed), reader.read("s")
            assert list(known.rows) == list(again.rows)
            assert all(known.tables[name].equals(again.tables[name]) for name in again.tables)
    numbers: list[int] = []
    parse = parsed_module.parse_rows

    def counted(kind: object, table: object) -> object:
        numbers.append(len(table))  # type: ignore[arg-type]  # an Arrow table
        return parse(kind, table)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(parsed_module, "parse_rows", counted)
    reader.read("s", parsed=parsed)
    reader.read("s", parsed=parsed)
    assert sum(numbers) == 1  # the start that was in the journal before
    reader.read("s")
    assert sum(numbers) > 10


def test_files_that_are_gone_take_their_rows_with_them(tmp_path: Path) -> None:
    write_trials(tmp_path, 3)
    reader, parsed = TrialStore(tmp_path), ParsedFiles()
    before = reader.read("s", parsed=parsed).rows
    compact_study(str(tmp_path), "s")
    assert reader.read("s", parsed=parsed).rows == before
    delete_study(str(tmp_path), "s")
    rows = write_trials(tmp_path, 1)
    assert list(reader.read("s", parsed=parsed).rows) == rows


def test_damage_is_named_at_each_reading(tmp_path: Path) -> None:
    write_trials(tmp_path, 2)
    damaged = next(p for p in (tmp_path / "trials").rglob("*.parquet") if "no-rows" not in p.name)
    damaged.write_bytes(damaged.read_bytes()[:-30])
    reader, parsed = TrialStore(tmp_path), ParsedFiles()
    rows = [reader.read("s", parsed=parsed).rows for _ in range(2)]
    assert rows[0] == rows[1]
    assert any(damaged.name in problem for problem in reader.problems)
