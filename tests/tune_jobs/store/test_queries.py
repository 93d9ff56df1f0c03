"""SQL answers over the views, and can do nothing else, whatever it says."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from store_testing import open_writer, snapshot_of_tree, whole_trial

from tune_jobs.errors import QueryError
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading.queries import QueryLimits

PYTHON_FRAME = pd.DataFrame({"secret": ["of this process"]})
PYTHON_TABLE = pa.table({"secret": ["of this process"]})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrialStore:
    path = tmp_path_factory.mktemp("store")
    with open_writer(path) as writer:
        for number in range(5):
            writer.append_many(whole_trial(number))
    return TrialStore(path)


@pytest.mark.parametrize(
    ("sql", "first"),
    [
        ("select count(*) as n from trials", {"n": 5}),
        ("from reports select max(val_accuracy) as best, sum(epoch) as epochs", {"best": 0.3, "epochs": 30}),
        ("select study from studies", {"study": "s"}),
        ("with t as (from trials) select number from t order by objective desc", {"number": 4}),
        (
            "select number, epoch from trials join reports using (study, trial_id, number) order by all",
            {"epoch": 1},
        ),
        ("describe trials", {"column_name": "study", "column_type": "VARCHAR"}),
        ("pivot trials on state using count(*) group by study", {"study": "s", "completed": 5}),
        ("select 1 as a, 2 as a", {"a": 1}),
        ("values (7); -- with a comment", {"col0": 7}),
        ("select 10::hugeint ** 30 > 0 as big, (2 ** 70)::hugeint as h", {"big": True, "h": float(2**70)}),
        ("explain select 1", {}),
        ("summarize trials", {"column_name": "study"}),
    ],
)
def test_statements_that_return_rows_are_answered(
    store: TrialStore, sql: str, first: dict[str, object]
) -> None:
    frame = store.sql(sql)
    assert len(frame) >= 1
    assert {name: frame.iloc[0][name] for name in first} == first


def test_whole_numbers_stay_whole(store: TrialStore) -> None:
    frame = store.sql(
        "select sum(epochs) as a, null::bigint as b, seq as c, best_epoch from trials group by all"
    )
    assert [str(kind) for kind in frame.dtypes] == ["int64", "Int64", "int64", "Int64"]


def test_max_rows_limits_what_is_fetched_in_order(store: TrialStore) -> None:
    assert store.sql("select number from trials order by number desc", max_rows=2)["number"].tolist() == [
        4,
        3,
    ]
    assert len(store.sql("from trials", max_rows=0)) == 0
    assert len(store.sql("from trials", max_rows=100)) == 5


FORBIDDEN = [
    "copy (select 1) to '{out}/x.csv'",
    "copy trials to '{out}/x.parquet' (format parquet)",
    "copy (select 1) to '.tmp/x.csv'",
    "export database '{out}/x'",
    "import database '{out}/x'",
    "attach '{out}/x.db' as x",
    "install httpfs",
    "load httpfs",
    "load '{out}/x.duckdb_extension'",
    "from read_csv('{file}')",
    "from read_csv_auto('{file}')",
    "from read_parquet('{file}')",
    "from read_json('{file}')",
    "from read_text('/etc/passwd')",
    "from read_blob('/etc/passwd')",
    "from parquet_metadata('{file}')",
    "from sniff_csv('{file}')",
    "from glob('/etc/*')",
    "from '/etc/passwd'",
    "from '{file}'",
    "select * from 'https://example.org/x.csv'",
    "from duckdb_secrets()",
    "set enable_external_access = true",
    "reset enable_external_access",
    "set lock_configuration = false",
    "set python_enable_replacements = true",
    "set temp_directory = '{out}'",
    "set memory_limit = '1TB'",
    "pragma enable_profiling",
    "pragma temp_directory = '{out}'",
    "call pragma_version()",
    "create table x as select 1",
    "create view x as select 1",
    "create or replace view trials as select 1",
    "create macro x() as 1",
    "create secret (type s3)",
    "create function x() as 1",
    "drop view trials",
    "insert into trials select * from trials",
    "update trials set number = 1",
    "delete from trials",
    "alter view trials rename to x",
    "begin",
    "prepare x as select 1",
    "checkpoint",
    "vacuum",
    "use memory",
    "select 1; select 2",
    "select 1; copy (select 1) to '{out}/x.csv'",
    "explain analyze copy (select 1) to '{out}/x.csv'",
    "from query('copy (select 1) to ''{out}/x.csv''')",
    "from PYTHON_FRAME",
    "from PYTHON_TABLE",
    "select getenv('HOME')",
    "select 1::pointer",
    "from arrow_scan(1, 2, 3)",
    "from pandas_scan(1)",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_nothing_can_be_written_or_read_outside_the_views(
    store: TrialStore, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    file = tmp_path / "file.csv"
    file.write_text("secret\nvalue\n")
    before = snapshot_of_tree(tmp_path), snapshot_of_tree(store.path)
    with pytest.raises(QueryError) as caught:
        store.sql(sql.format(out=out, file=file))
    assert "value" not in str(caught.value)
    assert (snapshot_of_tree(tmp_path), snapshot_of_tree(store.path)) == before
    assert store.sql("select count(*) as n from trials")["n"].tolist() == [5]


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        (
            "selec 1",
            ["syntax error", "Views: events, latencies, reports, starts, studies, trials; DESCRIBE trials"],
        ),
        ("from trails", ["trails", "Did you mean", "trials"]),
        ("select objektive from trials", ["objektive", "Columns with a similar name: objective, objectives"]),
        ("select param_lr from trials", ["Columns with a similar name: param_"]),
        ("select 'x'::int", ["Could not convert"]),
        ("select 1; select 2", ["one statement that returns rows, got 2 statements"]),
        ("", ["got 0 statements"]),
        ("create table x as select 1", ["got a statement of kind CREATE; write SELECT"]),
    ],
)
def test_errors_show_the_message_and_the_way_out(store: TrialStore, sql: str, parts: list[str]) -> None:
    with pytest.raises(QueryError) as caught:
        store.sql(sql)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_a_query_may_not_run_for_ever(store: TrialStore) -> None:
    endless = "select count(*) from range(1000000000) a, range(1000000000) b where a.range * b.range % 7 = 3"
    with pytest.raises(QueryError, match=r"was ended after 0\.2 s"):
        store.sql(endless, limits=QueryLimits(seconds=0.2))


def test_a_query_may_not_eat_all_memory(
    store: TrialStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueryError, match=r"(?i)memory"):
        store.sql("select list(range) from range(50000000)", limits=QueryLimits(memory_mib=64))
    assert list(tmp_path.iterdir()) == [], "nothing is spilled to disk"
