"""The progress line: what it says, and that it is silent where nobody looks."""

from __future__ import annotations

import pytest

from tune_jobs.attempt import Progress
from tune_jobs.report.progress import describe, progress_line, remaining_s

NOTHING = Progress(
    target=8,
    trained=0,
    trained_before=0,
    completed=0,
    stopped=0,
    failed=0,
    infeasible=0,
    running=0,
    best=None,
    best_number=None,
    elapsed_s=1.0,
    working_s=0.0,
)
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


def test_time_left_counts_this_sessions_trials_and_not_the_start_of_ray() -> None:
    assert remaining_s(NOTHING) is None
    assert remaining_s(HALFWAY) == 3700.0 / 2 * 4


def test_nothing_is_written_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_line() as on_progress:
        on_progress(HALFWAY)
    assert capsys.readouterr() == ("", "")
