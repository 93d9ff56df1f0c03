"""A table drawn as text: its widths, breaks, long cells and shared values."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.report.text import PLAIN_WIDTH, format_value, wrapped

TABLE = Table(
    title="all kinds",
    columns=("name", "count", "value"),
    rows=(("a", np.int64(1234), 0.123456789), ("b, c", None, math.nan), ("d", pd.NA, np.float64(1e-9))),
)


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
    monkeypatch.setattr("tune_jobs.report.text.PLAIN_WIDTH", 40)
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
    monkeypatch.setattr("tune_jobs.report.text.PLAIN_WIDTH", width)
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
