"""The lines on stderr about failed attempts, each with the end of the attempt's output. Starts no Ray."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tune_jobs.checkpoints.logs import Logs
from tune_jobs.search.records import TrialRecord
from tune_jobs.study.rows import Failure, State
from tune_jobs.testing.rows import trial_row
from tune_jobs.worker.failure_lines import NUM_LINES, FailureLines


def failed(number: int, reason: str, failure: Failure = Failure.RAISED) -> TrialRecord:
    end = trial_row(number, State.FAILED, reason=reason, failure=failure)
    at = datetime(2026, 11, 24, tzinfo=UTC)
    return TrialRecord(
        number=number, trial_id=f"s/{number}", params={}, first_started_at=at, attempts=1, end=end
    )


def test_a_failure_has_the_last_lines_of_its_output(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logs = Logs(store=str(tmp_path), study="s")
    logs.write(3, 1, "".join(f"line {n}\n" for n in range(20)))
    FailureLines(logs).say_end(failed(3, "attempt 1 raised an error: ValueError: no layer"))
    (said,) = caplog.messages
    first, second, *lines, last = said.splitlines()
    assert first == "trial 3 failed: attempt 1 raised an error: ValueError: no layer"
    assert second == "  its output ended with:"
    assert lines == [f"    line {n}" for n in range(20 - NUM_LINES, 20)]
    assert last == f"  all of it: python -m tune_jobs show s 3 --log --store {tmp_path}"


def test_a_reason_is_said_once_in_a_run(caplog: pytest.LogCaptureFixture) -> None:
    lines = FailureLines()
    for number in range(5):
        lines.say_end(failed(number, "attempt 1 raised an error: no layer"))
    lines.say_end(failed(5, "attempt 1 raised an error: no head"))
    assert caplog.messages == [
        "trial 0 failed: attempt 1 raised an error: no layer",
        "trial 5 failed: attempt 1 raised an error: no head",
    ]


def test_a_diverged_training_is_a_result_and_no_failure_to_mend(caplog: pytest.LogCaptureFixture) -> None:
    FailureLines().say_end(failed(0, "attempt 1 diverged: NaN", Failure.DIVERGED))
    assert caplog.messages == []


def test_another_attempt_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    at = datetime(2026, 11, 24, tzinfo=UTC)
    record = TrialRecord(number=2, trial_id="s/2", params={}, first_started_at=at, attempts=1)
    FailureLines().say_retry(record, Failure.CRASHED, "the worker died\nat length")
    assert caplog.messages == ["trial 2 is tried again: attempt 1 crashed: the worker died"]
