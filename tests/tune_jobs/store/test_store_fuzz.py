"""Whatever bytes or values stand in a store: an error of ours or the right rows, never another number.

Thousands of seeded changes of each table's file and of a journal: single bytes anywhere, and values of other
types in every column, written by another program or behind a right checksum.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_testing import LATENCY, NOON, event, leave_dead, mark, open_writer, report, start, trial

from tune_jobs.errors import StoreCorruptError
from tune_jobs.store.columns.convert import as_json_data, as_plain, parse_rows, rows_to_arrow
from tune_jobs.store.columns.schema import ROW_TYPES_OF_FILES, SCHEMA_VERSION, SCHEMAS, columns_of
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.format.definitions import read_definitions
from tune_jobs.store.format.journal import encode_line, read_journal
from tune_jobs.store.format.publishing import parquet_bytes
from tune_jobs.store.format.segments import check_pages, open_segment, read_segments
from tune_jobs.store.latencies import append_latencies
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.rows import Decision, EventKind, ReportRow, Row, StartRow, TrialRow

FLIPS = 600
"""Changed bytes of each file."""

ROWS: list[Row] = [
    start(0),
    start(1),
    report(0, 1),
    report(0, 2, decision=Decision.CONTINUE, decision_reason="first at its rung", history_seq=3),
    trial(0, objectives='{"val_accuracy":0.5}'),
    trial(1),
    event(),
    replace(event(EventKind.ATTEMPT_ENDED), detail='{"how":"completed"}', duration_s=2.0),
]
NUMBERED: list[Row] = [replace(row, seq=seq) for seq, row in enumerate(ROWS, start=1)]
BY_TABLE = {
    table: [row for row in NUMBERED if row.table == table]
    for table in ("starts", "reports", "trials", "events")
}


def read_rows(path: Path, table: str) -> list[Any] | None:
    """The rows that count of a file, as every reader gets them; None if it is refused."""
    files = LocalFiles(path.parent)
    study = None if table == "latencies" else "s"
    try:
        segment = open_segment(files, path.name, table, study=study)
        check_pages(files, segment)
        return parse_rows(ROW_TYPES_OF_FILES[table], read_segments(files, table, [segment])).rows
    except StoreCorruptError:
        return None


@pytest.mark.parametrize("table", [*BY_TABLE, "latencies"])
def test_a_changed_byte_anywhere_gives_an_error_or_the_same_rows(tmp_path: Path, table: str) -> None:
    rows: list[Any] = BY_TABLE.get(table, [LATENCY])
    whole = parquet_bytes(table, rows_to_arrow(table, rows))
    path, generator = tmp_path / "file.parquet", random.Random(table)
    path.write_bytes(whole)
    assert read_rows(path, table) == rows
    refused = 0
    for _ in range(FLIPS):
        data = bytearray(whole)
        for _ in range(generator.choice((1, 1, 1, 2, 8))):
            data[generator.randrange(len(data))] ^= generator.randrange(1, 256)
        if generator.random() < 0.2:
            del data[generator.randrange(len(data)) :]
        path.write_bytes(bytes(data))
        found = read_rows(path, table)
        assert found is None or found == rows
        refused += found is None
    assert refused > 0.95 * FLIPS, "but for a byte of the seal's own mark, each of them is noticed"


def test_a_changed_byte_of_a_large_files_pages_or_footer_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large file the footer is checked when it is opened, and each page when it is read."""
    monkeypatch.setattr("tune_jobs.store.format.seal.WHOLE_BYTES", 64)
    rows = BY_TABLE["trials"]
    whole = parquet_bytes("trials", rows_to_arrow("trials", rows))
    path, generator = tmp_path / "file.parquet", random.Random(7)
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    for _ in range(FLIPS):
        data = bytearray(whole)
        data[len(data) - 1 - generator.randrange(footer)] ^= generator.randrange(1, 256)
        path.write_bytes(bytes(data))
        assert read_rows(path, "trials") is None


def test_a_changed_byte_of_a_definition_gives_an_error_or_the_same(tmp_path: Path) -> None:
    open_writer(tmp_path).close()
    path = tmp_path / "studies" / "study_slug=s-s" / "definition-1.parquet"
    whole, generator = path.read_bytes(), random.Random(3)
    files = LocalFiles(tmp_path)
    known = read_definitions(files).studies
    for _ in range(FLIPS):
        data = bytearray(whole)
        data[generator.randrange(len(data))] ^= generator.randrange(1, 256)
        path.write_bytes(bytes(data))
        found = read_definitions(files)
        assert found.studies == known or (found.studies == {} and len(found.problems) == 1)


def test_a_changed_byte_of_a_journal_loses_its_line_alone() -> None:
    lines = [encode_line([(row.table, as_plain(row))]) for row in NUMBERED]
    generator = random.Random(1)
    for _ in range(3000):
        number = generator.randrange(len(lines))
        line = bytearray(lines[number])
        line[generator.randrange(len(line))] ^= generator.randrange(1, 256)
        content = read_journal(b"".join([*lines[:number], bytes(line), *lines[number + 1 :]]), "j")
        others = [row for row in NUMBERED if row.seq != number + 1]
        if number + 1 == len(lines) and content.torn:
            assert list(content.rows) == others[: len(content.rows)]
        else:
            assert [row for row in content.rows if row in others] == others or len(content.damaged) >= 1
            assert all(row in NUMBERED for row in content.rows)


DEEP = "[" * 100_000 + "]" * 100_000
NO_JSON = (
    *("", "{", "nul", "null", "[]", "3", '"text"', "9" * 5000, "\0", DEEP, '{"a":' + DEEP + "}"),
    *('{"a":' + "9" * 5000 + "}", '{"a":NaN}', '{"a":-Infinity}', '{"a":1e999}', '{"a":"\\ud800"}'),
)
HOSTILE_JSON: dict[str, tuple[str, ...]] = {
    "params": (*NO_JSON, '{"a":{"b":1}}', '{"a":[[1]]}'),
    "recipe": (
        *(*NO_JSON, '{"model":3}', '{"model_options":[]}', '{"dataset":null}'),
        *('{"learning_rate":"high","epochs":1}', '{"learning_rate":0.1,"epochs":[]}', '{"epochs":true}'),
    ),
    "objectives": (*NO_JSON, '{"val_accuracy":"high"}', '{"val_accuracy":[]}', '{"val_accuracy":true}'),
    "detail": NO_JSON,
}
SHAPES = {
    EventKind.SESSION_ENDED: '{"how":"finished"}',
    EventKind.ATTEMPT_ENDED: '{"how":"completed"}',
    EventKind.ENQUEUED: '{"points":[]}',
    EventKind.WARM_STARTED: '{"from":"s","trials":[]}',
}
HOSTILE_DETAIL = {
    EventKind.SESSION_STARTED: ('{"workers":"two"}', '{"workers":-1}', '{"workers":[]}', '{"workers":1e3}'),
    EventKind.SESSION_ENDED: ("{}", '{"how":3}', '{"how":{}}', '{"how":"well"}'),
    EventKind.ATTEMPT_STARTED: ('{"waited_s":""}', '{"waited_s":1e99}', '{"waited_s":-1}', '{"waited_s":{}}'),
    EventKind.ATTEMPT_ENDED: ("{}", '{"how":""}', '{"how":["failed"]}', '{"how":"x","epochs":null}'),
    EventKind.ENQUEUED: ("{}", '{"points":{}}', '{"points":[3]}', '{"points":[{"params":[]}]}',
        '{"points":[{"params":{"x":{}},"retry_of":null}]}', '{"points":[{"params":{},"retry_of":"0"}]}'),
    EventKind.WARM_STARTED: ("{}", '{"from":3,"trials":[]}', '{"from":"","trials":3}',
        '{"from":"","trials":[{}]}'),
}  # fmt: skip
HOSTILE_NUMBERS: dict[type, tuple[Any, ...]] = {
    float: (float("nan"), float("inf"), -float("inf")),
    str: (None,),
    int: (None, -1, 2**62),
    datetime: (None, datetime(1, 1, 1), datetime(9999, 1, 1)),
    bool: (),
}
ANY_NUMBER = (
    "seed",
    "history_seq",
    "pid",
    "macs",
    "parameters",
    "activations",
    "traffic_bytes",
    "peak_memory_bytes",
)


def hostile_values(table: str) -> Iterator[tuple[str, Any]]:
    """A column of a table and a value that no row may have there."""
    for column in columns_of(table):
        if column.name in HOSTILE_JSON:
            yield from ((column.name, text) for text in HOSTILE_JSON[column.name])
        values: tuple[Any, ...] = HOSTILE_NUMBERS.get(column.type, ())
        if issubclass(column.type, StrEnum):
            values = ("", "nothing known", None)
        for value in values:
            if value is None and column.optional:
                continue
            if (
                column.type is int
                and value is not None
                and (column.name in ANY_NUMBER or column.name == "seq")
            ):
                continue
            yield column.name, value
    if table != "events":
        yield from [("seq", 0), ("seq", -5), ("trial_id", "s/77"), ("trial_id", "")]


def changed(row: Row, name: str, value: Any) -> bytes:
    """A journal's line of a row with another value, and its right checksum."""
    values = {"table": row.table, **as_json_data(as_plain(row))}
    values[name] = value.isoformat() if isinstance(value, datetime) else value
    rest = json.dumps({"v": SCHEMA_VERSION, "rows": [values]})[1:].encode() + b"\n"
    return b'{"crc32":"%08x",%b' % (zlib.crc32(rest), rest)


@pytest.mark.parametrize("table", BY_TABLE)
def test_a_value_of_another_kind_is_a_damaged_line_of_a_journal(table: str) -> None:
    row = BY_TABLE[table][-1]
    for name, value in hostile_values(table):
        content = read_journal(changed(row, name, value), "j")
        assert content.rows == (), (name, str(value)[:50])
        assert content.damaged_lines == (1,)
    for name in (column.name for column in columns_of(table)):
        for value in (
            [],
            {},
            [[]],
            {"a": 1},
            True if name != "git_dirty" else 1,
            "no such thing" if name in ("seq", "number") else [],
        ):
            content = read_journal(changed(row, name, value), "j")
            assert content.damaged_lines == (1,), (name, value)


@pytest.mark.parametrize("table", BY_TABLE)
def test_a_value_of_another_kind_in_a_file_is_a_damaged_row(tmp_path: Path, table: str) -> None:
    """Written by another program, with what marks our files."""
    rows, path = BY_TABLE[table], tmp_path / "file.parquet"
    path.write_bytes(parquet_bytes(table, rows_to_arrow(table, rows)))
    whole = pq.ParquetFile(path).read()
    schema = whole.schema.with_metadata(mark(table))
    files = LocalFiles(tmp_path)
    for name, value in hostile_values(table):
        if name == "study":
            continue  # whose file it is: `test_store_foreign`
        values = whole.column(name).to_pylist()[:-1]
        array = pa.array([*values, value], type=schema.field(name).type)
        pq.write_table(
            whole.set_column(schema.get_field_index(name), schema.field(name), array).cast(schema), path
        )
        segment = open_segment(files, path.name, table, study="s")
        assert segment.num_rows == len(rows) - 1, (name, str(value)[:50])
        assert len(segment.problems) == 1
        assert str(path) in segment.problems[0]
        assert read_rows(path, table) == rows[:-1]


def test_text_of_no_encoding_is_a_damaged_row(tmp_path: Path) -> None:
    rows, path = BY_TABLE["trials"], tmp_path / "file.parquet"
    whole = rows_to_arrow("trials", rows)
    schema = whole.schema.with_metadata(mark("trials"))
    binary = pa.array([b"fine", b"\xff\xfe"], type=pa.binary()).view(pa.string())
    index = whole.schema.get_field_index("reason")
    pq.write_table(whole.set_column(index, schema.field(index), binary).cast(schema), path)
    found = read_rows(path, "trials")
    assert found is not None
    assert [row.number for row in found] == [0]


@pytest.mark.parametrize(
    ("kind", "detail"), [(kind, text) for kind, texts in HOSTILE_DETAIL.items() for text in texts]
)
def test_a_detail_of_another_shape_is_a_damaged_line(kind: EventKind, detail: str) -> None:
    shape = SHAPES.get(kind, "{}")
    row = replace(event(kind), seq=1, detail=shape)
    assert read_journal(changed(row, "detail", shape), "j").rows == (row,)
    assert read_journal(changed(row, "detail", detail), "j").damaged_lines == (1,)


def test_views_and_frames_leave_a_damaged_row_out_as_rows_do(tmp_path: Path) -> None:
    """One file of each table rewritten with one row that is none; all that is read says the same."""
    with open_writer(tmp_path) as writer:
        writer.append_many(ROWS)
    spoiled = {"starts": "params", "reports": "val_accuracy", "trials": "objectives", "events": "detail"}
    values = {"params": DEEP, "val_accuracy": float("nan"), "objectives": "[]", "detail": "{"}
    for table, name in spoiled.items():
        path = next((tmp_path / table / "study_slug=s-s").glob("*-000001.parquet"))
        whole = pq.ParquetFile(path).read()
        array = pa.array(
            [*whole.column(name).to_pylist()[:-1], values[name]], type=SCHEMAS[table].field(name).type
        )
        metadata = mark(table)
        index = whole.schema.get_field_index(name)
        pq.write_table(whole.set_column(index, name, array).replace_schema_metadata(metadata), path)
    reader = TrialStore(tmp_path)
    kept = [row for row in NUMBERED if row.seq not in (2, 4, 6, 8)]
    assert reader.rows("s") == kept
    for table in spoiled:
        seqs = [row.seq for row in kept if row.table == table]
        assert getattr(reader, table)("s")["seq"].tolist() == seqs
        assert reader.sql(f"select seq, * from {table} order by 1")["seq"].tolist() == seqs
    assert reader.sql("select sum(param_my_own) as s, avg(objective) as o from trials").to_dict(
        "records"
    ) == [{"s": 0.25, "o": 0.0}]
    assert len(reader.problems) == 4
    with pytest.raises(StoreCorruptError, match="is damaged"):
        open_writer(tmp_path)


@pytest.mark.parametrize("row_type", [StartRow, ReportRow, TrialRow])
def test_what_is_refused_when_read_is_refused_when_written(tmp_path: Path, row_type: type[Row]) -> None:
    """Else a row would be acknowledged that nobody can read."""
    from eml_models.errors import InvalidValueError

    row = replace(BY_TABLE[row_type.table][0], seq=0)
    with open_writer(tmp_path) as writer:
        for name, value in hostile_values(row_type.table):
            if name in ("seq", "study"):
                continue
            value = value.replace(tzinfo=NOON.tzinfo) if isinstance(value, datetime) else value
            with pytest.raises((InvalidValueError, TypeError)):
                writer.append(replace(row, **{name: value}))


def test_latencies_that_are_none_are_left_out(tmp_path: Path) -> None:
    file = append_latencies(tmp_path, [LATENCY, replace(LATENCY, mode="other")])
    assert file is not None
    whole = pq.ParquetFile(file).read()
    index = whole.schema.get_field_index("median_ms")
    metadata = mark("latencies")
    pq.write_table(
        whole.set_column(index, "median_ms", pa.array([40.5, -1.0])).replace_schema_metadata(metadata), file
    )
    store = TrialStore(tmp_path)
    assert store.latencies()["mode"].tolist() == [LATENCY.mode]
    assert store.sql("select avg(median_ms) as m from latencies")["m"].tolist() == [40.5]
    assert len(store.problems) == 1


def test_a_dead_writers_journal_of_hostile_lines_leaves_the_rest_readable(tmp_path: Path) -> None:
    leave_dead(tmp_path, ROWS)
    (journal,) = (tmp_path / "_wal" / "s-s").glob("*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    lines.insert(3, changed(NUMBERED[2], "train_loss", DEEP))
    lines.insert(5, b'{"crc32":"00000000",' + DEEP.encode() + b"\n")
    journal.write_bytes(b"".join(lines))
    reader = TrialStore(tmp_path)
    assert reader.rows("s") == NUMBERED
    assert "is damaged in line 4, 6" in reader.problems[0]
