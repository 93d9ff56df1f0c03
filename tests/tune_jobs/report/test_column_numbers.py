"""The numbers of a column have one format."""

from __future__ import annotations

import json

import pytest

from tune_jobs.report.column_numbers import column_format, percent
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.5, 0.009539, 0.25], ["0.5000", "0.0095", "0.2500"]),
        ([1e-4, 1e-3, 1e-2, 0.1, 1.0], ["0.0001", "0.0010", "0.0100", "0.1000", "1.0000"]),
        ([0.00012, 0.01], ["0.00012", "0.01000"]),
        ([1234.5678, 0.5, 0.0], ["1,234.6", "0.5", "0.0"]),
        ([12345.6, 0.012], ["12,345.600", "0.012"]),
        ([1e-9, 0.5, 1.0], ["1.000e-09", "5.000e-01", "1.000e+00"]),
        ([3e12, 0.5], ["3.000e+12", "5.000e-01"]),
        ([-0.25, float("nan"), float("inf")], ["-0.2500", "nan", "inf"]),
        ([0.0], ["0.0000"]),
        ([], []),
    ],
)
def test_numbers_of_a_column_have_the_same_decimals_or_all_an_exponent(
    values: list[float], shown: list[str]
) -> None:
    spec = column_format(values)
    assert [f"{value:{spec}}" for value in values] == shown


def cells(table: Table, column: int) -> list[str]:
    lines = [line for line in render(table, "table").splitlines() if line]
    return [line.split()[column] for line in lines[2:]]


def test_whole_numbers_of_a_column_with_fractions_are_written_like_the_others() -> None:
    table = Table(columns=("rate", "count"), rows=((1, 1234), (0.01, 5), (None, 6)))
    assert cells(table, 0) == ["1.0000", "0.0100", "-"]
    assert cells(table, 1) == ["1,234", "5", "6"]


def test_truths_among_numbers_stay_words() -> None:
    assert cells(Table(columns=("x", "y"), rows=((True, 1), (0.5, 1))), 0) == ["yes", "0.5000"]


def test_shares_are_per_cent_for_people_and_whole_for_programs() -> None:
    assert percent(0.0041) == "0.4 %"
    table = Table(columns=("class", "share"), rows=(("a", 0.6154), ("b", 0.004078)), shares=("share",))
    lines = render(table, "table").splitlines()
    assert [line.split("   ")[-1].strip() for line in lines[3:5]] == ["61.5 %", "0.4 %"]
    assert [row["share"] for row in json.loads(render(table, "json"))] == [0.6154, 0.004078]
