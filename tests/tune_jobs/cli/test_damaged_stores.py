"""What the verbs say of a store that is damaged, or that somebody copied files into: no traceback, ever."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_testing import Cli
from session_testing import a_study, play

from tune_jobs import TrialStore
from tune_jobs.session.state_machine import Session
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.files.local import LocalFiles, LocalLock
from tune_jobs.store.writer import StudyWriter

DEEP = "[" * 100_000 + "]" * 100_000
KILLED = "note: the last run of played was killed; the same command continues it\n"
VERBS = (
    ("list",),
    ("show", "played"),
    ("show", "played", "--audit"),
    ("report", "played"),
    ("query", "select count(*) as n, avg(objective) as mean from trials"),
    ("query", "select * from events"),
    ("repair", "played"),
    ("compact",),
    ("replay", "played", "0"),
    ("export", "played", "0", "--output", "weights.pt"),
    ("finalists", "played", "--dry-run"),
    ("delete", "played", "--yes"),
)


class MortalFiles(LocalFiles):
    """A folder whose locks end as if their process had died."""

    locks: list[LocalLock]

    def lock(self, key: str, **options: Any) -> LocalLock:
        self.locks = [*getattr(self, "locks", []), super().lock(key, **options)]
        return self.locks[-1]


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study whose writer died before it published anything."""
    store = tmp_path_factory.mktemp("dead") / "trials"
    files = MortalFiles(store)
    never = PublishPolicy(trials=10**9, reports=10**9, seconds=1e9)
    play(Session(a_study(), StudyWriter.open(files, a_study(), versions={}, policy=never)))
    for lock in files.locks:
        lock.release()
    return store


@pytest.fixture
def store(dead: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dead, tmp_path / "trials"))


def journal_of(store: Path) -> Path:
    (journal,) = (store / "_wal" / "s-played").glob("*.jsonl")
    return journal


def change_row(store: Path, table: str, name: str, value: object) -> None:
    """Give the first row of a table another value, behind a right checksum."""
    journal = journal_of(store)
    lines = journal.read_bytes().splitlines(keepends=True)
    for index, line in enumerate(lines):
        data = json.loads(line)
        row = next((row for row in data["rows"] if row["table"] == table and name in row), None)
        if row is not None:
            row[name] = value
            del data["crc32"]
            rest = json.dumps(data)[1:].encode() + b"\n"
            lines[index] = b'{"crc32":"%08x",%b' % (zlib.crc32(rest), rest)
            break
    journal.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("table", "name", "value"),
    [
        ("starts", "params", DEEP),
        ("starts", "params", '{"learning_rate":NaN,"optimizer":"sgd"}'),
        ("starts", "recipe", "[]"),
        ("trials", "objectives", "not JSON"),
        ("trials", "objectives", "[1]"),
        ("trials", "params", '{"learning_rate":{}}'),
        ("events", "detail", DEEP),
        ("events", "detail", '{"workers":"many"}'),
        ("events", "detail", "[]"),
        ("reports", "val_accuracy", "high"),
        ("reports", "decision", "perhaps"),
    ],
)
def test_every_verb_names_a_damaged_row_and_none_shows_a_traceback(
    cli: Cli, store: Path, table: str, name: str, value: object
) -> None:
    change_row(store, table, name, value)
    for words in VERBS:
        code, out, err = cli(*words)  # what is no error of ours would be raised here
        assert code in (0, 1, 2)
        if words[0] not in ("export", "delete"):
            assert "is damaged in line" in out + err, words
            assert journal_of(store).name in out + err
    assert TrialStore(store).studies().empty


def test_a_run_is_refused_and_continues_after_the_repair_that_was_asked_for(cli: Cli, store: Path) -> None:
    lines = journal_of(store).read_bytes().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if b'"table":"starts"' in line)
    lines[number] = lines[number].replace(b"rate", b"ratX", 1)
    journal_of(store).write_bytes(b"".join(lines))
    message = f"is damaged in line {number + 1} (the checksum does not match)"
    whole = len(TrialStore(store).rows("played"))

    code, out, err = cli("repair", "played")
    assert code == 1
    assert message in out
    assert "would be lost:" in out
    assert "all rows of trials: 0" in out
    assert "run the same command with --yes to repair" in err
    assert len(TrialStore(store).rows("played")) == whole
    assert not (store / "_wal" / "damaged").exists()

    code, out, _ = cli("repair", "played", "--yes")
    assert code == 0
    assert message in out
    assert "set aside unchanged: " in out
    assert cli("repair", "played")[0] == 0
    code, _, err = cli("show", "played")
    assert (code, err) == (0, KILLED)
    with StudyWriter.open(store, a_study(), versions={}) as writer:
        session = Session(a_study(), writer, writer.rows)
        play(session)
        assert session.history.num_trained == a_study().trials
        assert 0 not in session.history.trials


@pytest.mark.parametrize("words", [("list",), ("show", "played"), ("query", "from trials"), ("compact",)])
def test_a_copy_is_named_once_a_command_and_counts_nothing(
    cli: Cli, store: Path, words: tuple[str, ...]
) -> None:
    StudyWriter.open(store, a_study(), versions={}).close()
    plain = cli(*words)[1]
    path = next((store / "trials" / "study_slug=s-played").glob("*-000001.parquet"), None) or next(
        (store / "trials" / "study_slug=s-played").glob("*compacted*")
    )
    shutil.copy(path, path.with_name(f"{path.stem} (conflicted copy).parquet"))
    code, out, err = cli(*words)
    assert code == 0
    assert (out == plain) or words[0] == "compact"
    (message,) = err.removesuffix(KILLED).splitlines()
    assert message.startswith("warning: left out: ")
    assert "conflicted copy" in message


def flip_footer(path: Path) -> None:
    data = bytearray(path.read_bytes())
    start = data.rindex(b"objective")  # the name of a column
    data[start : start + 2] = b"\xff\xfe"
    path.write_bytes(bytes(data))


def write_anew(path: Path) -> None:
    rows = pq.ParquetFile(path).read()
    index = rows.column_names.index("objectives")
    pq.write_table(rows.set_column(index, "objectives", pa.array(["[]"] * rows.num_rows)), path)


@pytest.mark.parametrize("damage", [flip_footer, write_anew])
def test_every_verb_names_a_damaged_file(cli: Cli, store: Path, damage: Callable[[Path], None]) -> None:
    StudyWriter.open(store, a_study(), versions={}).close()
    path = next((store / "trials" / "study_slug=s-played").glob("*-000001.parquet"))
    damage(path)
    for words in VERBS:
        code, out, err = cli(*words)
        assert code in (0, 1, 2)
        if words[0] not in ("export", "delete"):
            assert path.name in out + err, words


@pytest.mark.parametrize("content", [b"PAR1", b"", DEEP.encode()])
def test_a_study_with_a_damaged_definition_can_be_deleted(cli: Cli, store: Path, content: bytes) -> None:
    (store / "studies" / "study_slug=s-played" / "definition-1.parquet").write_bytes(content)
    for words in VERBS[:-1]:
        code, _, err = cli(*words)
        assert code in (0, 1, 2)
        assert "definition-1.parquet" in err or words[0] == "repair"
    assert cli("delete", "played", "--yes")[0] == 0
    assert cli("list")[0] == 0
    assert not list(store.glob("*/study_slug=s-played/*-000001.parquet"))


def test_a_damaged_study_is_left_and_its_neighbour_compacted(cli: Cli, store: Path) -> None:
    other = a_study(name="whole")
    with StudyWriter.open(store, other, versions={}) as writer:
        play(Session(other, writer))
    change_row(store, "starts", "params", DEEP)
    code, out, err = cli("compact", "--format", "csv")
    assert code == 1
    assert [line.partition(",")[0] for line in out.splitlines()] == ["study", "whole"]
    assert "left as it is: study 'played' is damaged" in err
