"""Tables: three forms of the same rows, and the leaderboard's order."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd
import pytest

from tune_jobs.report.leaderboard import NO_END, leaderboard, rungs, states, studies, studies_for_people
from tune_jobs.report.tables import PLAIN_WIDTH, Table, format_value, render, wrapped
from tune_jobs.store.reading.frames import as_frame
from tune_jobs.study.rows import State

TABLE = Table(
    title="all kinds",
    columns=("name", "count", "value"),
    rows=(("a", np.int64(1234), 0.123456789), ("b, c", None, math.nan), ("d", pd.NA, np.float64(1e-9))),
)


def test_json_and_csv_hold_every_digit_and_missing_as_missing() -> None:
    assert json.loads(render(TABLE, "json")) == [
        {"name": "a", "count": 1234, "value": 0.123456789},
        {"name": "b, c", "count": None, "value": None},
        {"name": "d", "count": None, "value": 1e-9},
    ]
    assert list(csv.reader(io.StringIO(render(TABLE, "csv")))) == [
        ["name", "count", "value"],
        ["a", "1234", "0.123456789"],
        ["b, c", "", ""],
        ["d", "", "1e-09"],
    ]


def test_text_has_a_title_a_header_and_a_line_a_row() -> None:
    lines = [line for line in render(TABLE, "table").splitlines() if line.strip()]
    assert lines[0] == "all kinds"
    assert lines[1].split() == ["name", "count", "value"]
    assert [line.split()[0] for line in lines[3:]] == ["a", "b,", "d"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (True, "yes"),
        (1234567, "1,234,567"),
        (0.99651, "0.9965"),
        (1e-9, "1e-09"),
        (123456.0, "1.235e+05"),
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        ("text", "text"),
    ],
)
def test_values_are_short_for_people(value: object, shown: str) -> None:
    assert format_value(value) == shown


NO_STARTS = pd.DataFrame({"number": [], "recipe": []})


def frame(*rows: tuple[int, str, float | None]) -> pd.DataFrame:
    same = {"epochs": 3, "train_s": 1.0, "macs": 5, "params": "{}"}
    records = [
        {"number": n, "state": s, "objective": o, "seq": n, "reason": f"because {n}", **same}
        for n, s, o in rows
    ]
    return pd.DataFrame(records)


def test_leaderboard_ranks_completed_trials_and_keeps_the_earlier_of_equals() -> None:
    trials = frame((0, "completed", 0.5), (1, "stopped", 0.9), (2, "completed", 0.7), (3, "completed", 0.7))
    table = leaderboard(trials, NO_STARTS, metric="val_accuracy")
    assert [row[0] for row in table.rows] == [2, 3, 0]
    assert "macs" not in table.columns
    losses = leaderboard(trials, NO_STARTS, metric="val_loss", top=1)
    assert [row[0] for row in losses.rows] == [0]


def test_leaderboard_shows_stopped_trials_where_none_completed() -> None:
    table = leaderboard(frame((0, "stopped", 0.5), (1, "failed", None)), NO_STARTS, metric="val_accuracy")
    assert [row[0] for row in table.rows] == [0]
    assert "stopped" in table.title


def test_states_count_every_end_and_quote_the_last_reason() -> None:
    ended = frame((0, "completed", 0.5), (1, "failed", None), (2, "failed", None))
    table = states(ended, reports_of((0, 1, 1.0), (0, 2, 2.0), (1, 1, 4.0)))
    assert [(row[0], row[1], row[3], row[-1]) for row in table.rows] == [
        ("completed", 1, 3.0, "because 0"),
        ("failed", 2, 4.0, "because 2"),
    ]


def test_seconds_by_state_count_the_first_training_of_an_epoch_as_the_ledger_does() -> None:
    again = reports_of((0, 1, 1.0), (0, 2, 2.0), (0, 2, 32.0), (0, 3, 4.0))
    assert states(frame((0, "completed", 0.5)), again).rows[0][3] == 7.0


def reports_of(*rows: tuple[int, int, float]) -> pd.DataFrame:
    """(number, epoch, epoch_s) in order of seq"""
    reports = pd.DataFrame(rows, columns=["number", "epoch", "epoch_s"])
    return reports.assign(seq=range(len(reports)))


def test_rungs_show_who_went_on() -> None:
    reports = pd.DataFrame(
        {
            "seq": [1, 2, 3, 4, 5],
            "number": [0, 1, 2, 1, 1],
            "epoch": [1, 1, 1, 2, 1],
            "decision": ["stop", "continue", "stop", None, "continue"],
            "val_accuracy": [0.1, 0.9, 0.2, 0.9, 0.95],
        }
    )
    (row,) = rungs(reports, [1], metric="val_accuracy").rows
    assert row == (1, 3, 2, "0.1000 .. 0.2000", "0.9000 .. 0.9000")


def test_rungs_are_told_by_their_own_epochs_where_trials_report_past_them() -> None:
    """Reports of every second epoch; after an interruption trial 1 reports the first epoch too."""
    reports = pd.DataFrame(
        {
            "seq": [1, 2, 3, 4, 5],
            "number": [0, 1, 2, 1, 1],
            "epoch": [2, 2, 2, 4, 1],
            "decision": ["stop", "continue", "continue", "continue", "continue"],
            "val_accuracy": [0.1, 0.9, 0.8, 0.95, 0.7],
        }
    )
    first, second = rungs(reports, [1, 3], metric="val_accuracy").rows
    assert first == (1, 3, 1, "0.1000 .. 0.1000", "0.8000 .. 0.9000")
    assert second == (3, 1, 0, None, "0.9500 .. 0.9500")


ENDS = [(0, "stopped", None), (1, "failed", None), (2, "failed", None), (3, "infeasible", None)]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [],
            "No trial has ended yet. Wait if the study runs, else give the same command again: it goes on.",
        ),
        (ENDS[1:3], "No trial has completed. 2 trials failed. `show` has the last reason"),
        (ENDS[3:], "No trial has completed. 1 trial refused before training. Move the limits"),
        (ENDS, "1 trial stopped at a rung. Train more with --trials"),
    ],
)
def test_an_empty_leaderboard_says_why_and_what_to_do(
    rows: list[tuple[int, str, float | None]], told: str
) -> None:
    trials = frame(*rows) if rows else frame((0, "failed", None)).iloc[:0]
    table = leaderboard(trials, NO_STARTS, metric="val_accuracy")
    text = " ".join(render(table, "table").split())
    assert told in text
    assert "trial val_accuracy epochs" in text
    assert json.loads(render(table, "json")) == []


LONG = Table(
    title="title",
    columns=("trial", "value", "params", "network"),
    rows=(
        (
            3,
            0.5,
            "learning_rate=0.01 " + "optimizer=adam " * 8,
            "'mobilenet:widths=[" + "1.234," * 30 + "2]'",
        ),
        (12, 0.25, None, "resnet18:width=8"),
    ),
    below=("params", "network"),
    note="a note",
)


def test_long_cells_stand_below_their_row_within_the_width() -> None:
    lines = render(LONG, "table").splitlines()
    assert [line.strip() for line in lines[:4]] == ["title", "a note", "", "trial    value"]
    assert lines[5].split() == ["3", "0.5000"]
    assert lines[6].startswith("    learning_rate=0.01 optimizer=adam")
    assert all(len(line) <= PLAIN_WIDTH for line in lines)
    network = "".join(line.strip() for line in lines[7:9])
    assert network == LONG.rows[0][3]
    assert lines[9:] == ["", "    12   0.2500", "    resnet18:width=8", ""]


def test_numbers_are_never_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_jobs.report.tables.PLAIN_WIDTH", 40)
    wide = Table(columns=tuple(f"column_{i}" for i in range(12)), rows=(tuple(0.5 + i for i in range(12)),))
    text = render(wide, "table")
    assert all(f"column_{i}" in text and f"{0.5 + i:.4f}" in text for i in range(12))


MODES = Table(
    title="modes",
    columns=("network", "batch", "mode", "ms", "what it took away"),
    rows=tuple(
        (network, batch, f"bf16-weights/channels_last/{how}", 1.5, "memory")
        for network in ("mobilenet-130m", "resnet18")
        for batch in (1, 32)
        for how in ("eager", "compile/folded")
    ),
    groups=("network", "batch"),
)


def narrow(table: Table, monkeypatch: pytest.MonkeyPatch, width: int) -> list[str]:
    monkeypatch.setattr("tune_jobs.report.tables.PLAIN_WIDTH", width)
    lines = render(table, "table").splitlines()
    assert all(len(line) <= width for line in lines)
    return lines


def test_what_rows_share_stands_above_them_where_it_does_not_fit_beside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = narrow(MODES, monkeypatch, 72)
    assert lines[2] == " mode                                            ms   what it took away"
    assert lines[4:8] == [
        " mobilenet-130m, batch 1",
        " bf16-weights/channels_last/eager            1.5000   memory",
        " bf16-weights/channels_last/compile/folded   1.5000   memory",
        "",
    ]
    assert [line for line in lines if "batch" in line][1:] == [
        " mobilenet-130m, batch 32",
        " resnet18, batch 1",
        " resnet18, batch 32",
    ]


def test_headers_are_broken_before_cells_and_both_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = narrow(MODES, monkeypatch, 66)
    assert [line.split() for line in broken[2:4]] == [["mode", "ms", "what", "it", "took"], ["away"]]
    assert broken[7].split() == ["bf16-weights/channels_last/compile/folded", "1.5000", "memory"]
    narrower = narrow(MODES, monkeypatch, 52)
    assert [line.strip() for line in narrower[3:6]] == ["it", "took", "away"]
    assert narrower[9].split() == ["bf16-weights/channels_last/compile/", "1.5000", "memory"]
    assert narrower[10] == " folded"


def test_lines_of_a_text_stay_lines_and_columns_of_one_name_stay_apart() -> None:
    error = 'Traceback:\n  File "x.py", in f\nValueError: no'
    twice = Table(columns=("a", "a", "error"), rows=((1, 2, error), (3, 4, None)))
    assert render(twice, "table").splitlines()[3:] == [
        " 1   2   Traceback:",
        '           File "x.py", in f',
        "         ValueError: no",
        " 3   4   -",
        "",
    ]


def test_large_counts_are_read_in_millions() -> None:
    counts = Table(columns=("network", "macs"), rows=(("a", 29_026_048), ("b", None)), millions=("macs",))
    lines = render(counts, "table").splitlines()
    assert lines[0] == "in millions: macs"
    assert [line.split() for line in lines[4:6]] == [["a", "29.03"], ["b", "-"]]
    assert json.loads(render(counts, "json"))[0]["macs"] == 29_026_048


def test_cells_that_fit_stay_beside_their_row() -> None:
    short = Table(columns=LONG.columns, rows=((3, 0.5, "a=1", "resnet18"),), below=LONG.below)
    assert render(short, "table").splitlines()[1].split() == [*LONG.columns]


def test_list_for_people_has_no_empty_states_and_keeps_names_whole() -> None:
    kinds = {"study": "a-study-of-many-words", "created_at": datetime(2026, 1, 2, 3, 4, 5)}
    definition = json.dumps({"objectives": [{"metric": "val_accuracy", "direction": "maximize"}]})
    name = "a-study-of-many-words"
    none_ended = dict.fromkeys(map(str, State), 0)
    counts = {**none_ended, "completed": 1, "least": 0.4, "most": 0.5}
    stored = pd.DataFrame([{**kinds, "definition": definition, **counts, "how": "finished"}])
    found = studies(stored)
    assert "failed" in found.columns
    shown = studies_for_people(found)
    assert shown.columns == ("study", "objective", "best", "completed", "created_at")
    assert shown.rows == ((name, "val_accuracy", 0.5, 1, "2026-01-02"),)
    none = studies(pd.DataFrame({"study": []}))
    assert "The store holds no study yet" in render(none, "table")
    killed = studies_for_people(studies(stored.assign(how=NO_END)))
    assert killed.columns[-2:] == ("last_run", "created_at")
    assert killed.rows[0][-2] == "no end yet"


def test_what_a_terminal_obeys_is_shown_as_escapes_and_tabs_are_blanks() -> None:
    odd = Table(
        columns=("name", "error", "n"),
        rows=(("a\tb", "\x1b[31mred\x1b[0m\x07", 1), ("c", "plain\n\tindented", 2)),
        below=("error",),
    )
    for wide in (odd, replace(odd, rows=((*odd.rows[0][:1], "\x1b[31m" + "red " * 60, 1),))):
        assert render(wide, "table").replace("\n", "").isprintable()
    lines = render(odd, "table").splitlines()
    assert lines[3:] == [
        r" a   b   \x1b[31mred\x1b[0m\x07   1",
        " c       plain                    2",
        "             indented",
        "",
    ]
    assert json.loads(render(odd, "json"))[0]["error"] == "\x1b[31mred\x1b[0m\x07"


def test_a_number_and_its_per_cent_sign_stay_on_one_line() -> None:
    assert wrapped("a mean with its 95 %; Holm", 20) == ["a mean with its", "95 %; Holm"]


def test_lists_of_one_stay_lists_and_parts_of_values_are_plain() -> None:
    at, nothing = datetime(2026, 1, 2), math.nan
    table = Table(
        columns=("one", "none", "parts"),
        rows=((np.array([5]), np.array([]), {"at": at, "loss": nothing, "l": np.array([np.array([1, 2])])}),),
    )
    parts = {"at": "2026-01-02T00:00:00", "loss": None, "l": [[1, 2]]}
    assert json.loads(render(table, "json")) == [{"one": [5], "none": [], "parts": parts}]
    assert "[5]" in render(table, "table")


@pytest.mark.parametrize(
    ("span", "text"),
    [
        ("interval '130.221243 seconds'", "00:02:10.221243"),
        ("interval '-90 minutes'", "-01:30:00"),
        ("interval '1 day 100 hours'", "1 day 100:00:00"),
        ("interval '2 months'", "2 months"),
        ("interval '0 days'", "00:00:00"),
    ],
)
def test_spans_of_time_are_texts_that_sql_reads_again(span: str, text: str) -> None:
    def found(sql: str) -> pd.DataFrame:
        return as_frame(duckdb.sql(sql).to_arrow_table())

    (value,) = found(f"select {span} as span")["span"]
    table = Table(columns=("span",), rows=((value,),))
    assert json.loads(render(table, "json")) == [{"span": text}]
    assert found(f"select {span} = interval '{text}' as same")["same"].tolist() == [True]


def trials_of(study: str) -> pd.DataFrame:
    return frame((0, "completed", 0.5)).assign(study=study)
