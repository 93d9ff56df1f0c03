"""The ledger as a table."""

from __future__ import annotations

import pytest

from tune_jobs.report import ledger
from tune_jobs.report.render import render
from tune_jobs.study.rows import EventKind
from tune_jobs.testing.rows import event_row, numbered, report_row, start_row


def test_table_has_the_classes_with_seconds_and_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *others = ledger.CLASSES
    seconds = {first: 6.0, second: 2.0, **dict.fromkeys(others, 0.0)}
    monkeypatch.setattr("tune_jobs.report.ledger.account", lambda rows: seconds)
    table = ledger.ledger([])
    assert table.title == "where 8.0 worker-seconds went"
    assert table.rows == ((first, 6.0, 0.75), (second, 2.0, 0.25))


def test_busy_seconds_of_gpus_stand_above_the_table_and_none_on_a_cpu() -> None:
    busy = '{"how":"completed","step_s":0.005,"gpu_busy":0.5}'
    rows = [start_row(0), report_row(0, 1, 0.5, epoch_s=8.0)]
    ended = event_row(EventKind.ATTEMPT_ENDED, 0, detail=busy)
    assert ledger.ledger(numbered(*rows, ended)).note == (
        "of 8.0 s of training on GPUs, measured in 1 attempt, the GPU was busy for 4.0, 50.0 % of them"
    )
    on_cpu = event_row(EventKind.ATTEMPT_ENDED, 0, detail='{"how":"completed"}')
    assert ledger.ledger(numbered(*rows, on_cpu)).note == ""


def test_shares_of_the_page_are_per_cent(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *others = ledger.CLASSES
    seconds = {first: 1000.0, second: 4.0, **dict.fromkeys(others, 0.0)}
    monkeypatch.setattr("tune_jobs.report.ledger.account", lambda rows: seconds)
    lines = render(ledger.ledger([]), "table").splitlines()
    assert [line.split()[-4:] for line in lines[4:6]] == [
        [first, "1,000.0", "99.6", "%"],
        [second, "4.0", "0.4", "%"],
    ]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        ((11.00185, 0.00074), ["11.0", "0.0"]),
        ((5.2225, 0.0019), ["5.22", "0.00"]),
        ((0.125, 0.0004), ["0.125", "0.000"]),
        ((123456.7, 0.5), ["123,456.7", "0.5"]),
    ],
)
def test_small_classes_do_not_widen_the_seconds_of_the_others(
    seconds: tuple[float, float], shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {**dict.fromkeys(ledger.CLASSES, 0.0), **dict(zip(ledger.CLASSES, seconds, strict=False))}
    monkeypatch.setattr("tune_jobs.report.ledger.account", lambda rows: found)
    lines = render(ledger.ledger([]), "table").splitlines()
    assert [line.split()[1] for line in lines[4:6]] == shown
