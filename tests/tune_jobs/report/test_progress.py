"""The progress line: what it says, and that it is silent where nobody looks."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.color import ColorSystem
from session_testing import NOTHING
from terminal_testing import CODE, Kind, Stream

from tune_jobs.report.progress import LogLines, describe, progress_line, remaining_s, show_progress
from tune_jobs.report.sparkline import ASCII, BLOCKS
from tune_jobs.report.terminal import Paint, Tone
from tune_jobs.session.attempt import Progress
from tune_jobs.store.provenance import JOB_CONFIG

HALFWAY = Progress(
    target=8,
    trained=4,
    trained_before=2,
    completed=1,
    stopped=2,
    failed=1,
    infeasible=0,
    running=2,
    best=0.99651,
    best_number=3,
    elapsed_s=3708.0,
    working_s=3700.0,
)


def test_line_says_how_trials_ended_the_best_and_the_time_left() -> None:
    assert describe(NOTHING) == "0/8 trials | 0:01"
    assert describe(HALFWAY) == (
        "4/8 trials | 2 running, 1 completed, 2 stopped, 1 failed | best 0.9965 (trial 3)"
        " | 1:01:48, 2:03:20 left"
    )


BUSY = replace(
    HALFWAY,
    target=1024,
    trained=480,
    completed=80,
    stopped=396,
    failed=4,
    infeasible=1201,
    running=16,
    front=9,
)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 132])
@pytest.mark.parametrize("progress", [NOTHING, HALFWAY, BUSY])
def test_a_narrow_line_keeps_the_trials_and_the_time_left(progress: Progress, width: int) -> None:
    line, whole = describe(progress, width=width), describe(progress)
    assert len(line) <= width
    assert line.split(" | ")[0] == whole.split(" | ")[0]
    assert line.rpartition(", ")[2] == whole.rpartition(", ")[2]
    assert line == whole or len(whole) > width


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (
            140,
            "480/1,024 trials | 16 running, 80 completed, 396 stopped, 4 failed | best 0.9965 (trial 3)"
            " | 9 on the front | 1:01:48, 1:10:11 left",
        ),
        (80, "480/1,024 trials | 16 running, 4 failed | best 0.9965 | 1:01:48, 1:10:11 left"),
        (60, "480/1,024 trials | best 0.9965 | 1:01:48, 1:10:11 left"),
        (32, "480/1,024 trials | 1:10:11 left"),
        (14, "| 1:10:11 left"),
    ],
)
def test_words_are_left_out_by_their_importance(width: int, line: str) -> None:
    assert describe(BUSY, width=width) == line


def test_a_line_without_a_time_left_keeps_the_time_used() -> None:
    assert describe(replace(NOTHING, running=2), width=20) == "0/8 trials | 0:01"


def test_line_of_a_terminal_of_80_columns_shows_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress_line() as on_progress:
        on_progress(BUSY)
    assert "1:10:11 left" in capsys.readouterr().err


def test_time_left_counts_this_sessions_trials_and_not_the_start_of_ray() -> None:
    assert remaining_s(NOTHING) is None
    assert remaining_s(HALFWAY) == 3700.0 / 2 * 4


def test_no_time_is_left_where_fewer_trials_are_asked_for_than_there_are() -> None:
    lowered = replace(HALFWAY, target=2, trained=5, running=1)
    assert remaining_s(lowered) == 0
    assert describe(lowered).endswith("best 0.9965 (trial 3) | 1:01:48")


def test_jobs_log_gets_a_line_at_each_milestone_and_now_and_then() -> None:
    lines: list[str] = []
    now = [0.0]
    on_progress = LogLines(
        lines.append, elapsed=lambda: now[0], now=lambda: datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    )
    on_progress(NOTHING)
    for tick in range(1, 400):  # 100 s of four looks a second at which nothing happens
        now[0] = tick / 4
        on_progress(NOTHING)
    assert len(lines) == 4
    now[0] += 2.5
    on_progress(replace(NOTHING, running=2))
    on_progress(replace(NOTHING, running=1, trained=1, completed=1, best=0.9, best_number=0))
    assert len(lines) == 5  # what follows within 2 s waits for the next line
    now[0] += 2.5
    on_progress(replace(NOTHING, running=1, trained=2, completed=2, best=0.9, best_number=0))
    on_progress(replace(NOTHING, trained=8, completed=8, best=0.95, best_number=4))
    on_progress(replace(NOTHING, trained=8, completed=8, best=0.95, best_number=4))
    assert len(lines) == 7  # and the last one is never lost
    assert lines[-1] == "12:00:00 8/8 trials | 8 completed | best 0.9500 (trial 4) | 0:01"


def test_a_short_run_that_no_terminal_shows_is_quiet_and_a_long_one_is_not() -> None:
    lines: list[str] = []
    now = [0.0]
    on_progress = LogLines(lines.append, quiet_s=30.0, elapsed=lambda: now[0])
    for tick in range(1, 30):
        now[0] = tick
        on_progress(replace(NOTHING, running=2, trained=tick // 8))
    assert lines == []
    now[0] = 30.0
    on_progress(replace(NOTHING, running=2, trained=4))
    assert "4/8 trials" in lines[0]


def test_a_job_tells_from_its_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with show_progress() as on_progress:
        on_progress(HALFWAY)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv(JOB_CONFIG, '{"metadata": {"job_submission_id": "x"}}')
    with show_progress() as on_progress:
        on_progress(HALFWAY)
    assert "4/8 trials" in capsys.readouterr().err


IMPROVING = replace(HALFWAY, bests=((1, 0.9), (3, 0.99651)))


def test_line_of_a_terminal_draws_the_best_so_far() -> None:
    assert describe(IMPROVING) == describe(HALFWAY)  # as a job's log has it
    assert "best 0.9965 (trial 3) ▁▁██ |" in describe(IMPROVING, levels=BLOCKS)
    assert "best 0.9965 (trial 3) __## |" in describe(IMPROVING, levels=ASCII)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 120])
def test_colours_need_no_room(width: int) -> None:
    paint = Paint(system=ColorSystem.EIGHT_BIT)
    plain = describe(IMPROVING, width=width, levels=BLOCKS)
    painted = describe(IMPROVING, width=width, levels=BLOCKS, paint=paint)
    assert CODE.sub("", painted) == plain
    assert ("failed" in plain) == (paint("1 failed", Tone.FAILED) in painted)


@pytest.mark.parametrize("variables", [{"TERM": "xterm-256color"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours_gets_none_in_its_line(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = Stream(Kind())
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_line() as on_progress:
        on_progress(IMPROVING)
    written = stream.getvalue()
    assert "1 failed" in CODE.sub("", written)
    assert bool(CODE.search(written)) == ("NO_COLOR" not in variables and variables.get("TERM") != "dumb")
