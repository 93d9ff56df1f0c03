"""`show STUDY TRIAL`, its log, and what `show STUDY` says of the trial that failed last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_testing import Cli
from session_testing import WORKER, a_study, play_attempt, rising

from tune_jobs.checkpoints.logs import Logs
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.rows import Failure

STUDY = a_study(trials=3, asha=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a study: trial 0 completed, trial 1 failed, trial 2 has reported an epoch."""
    with StudyWriter.open(tmp_path / "trials", STUDY, versions={}) as writer:
        session = Session(STUDY, writer)
        first = session.next_attempt()
        assert first is not None
        play_attempt(session, first)
        session.next_attempt()
        session.record_failure(1, Failure.RAISED, "ValueError: no layer", worker=WORKER)
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_report(2, rising(attempt, 1), WORKER)
    logs = Logs(store=str(tmp_path / "trials"), study=STUDY.name)
    logs.write(0, 1, "of the first attempt\n")
    logs.write(0, 2, "".join(f"step {n}\n" for n in range(100)) + "\x1b[2Jclears\n")
    logs.write(1, 1, "epoch  1%\repoch 99%\nno layer here\n")
    return tmp_path


def test_a_trial_has_a_page_with_the_end_of_its_log(cli: Cli, folder: Path) -> None:
    code, out, err = cli("show", STUDY.name, "1")
    assert (code, err) == (0, "")
    assert out.startswith(
        f"trial 1 of {STUDY.name}: failed\nattempt 1 raised an error: ValueError: no layer\n"
    )
    assert "\nlog\n\n    epoch 99%\n    no layer here\n" in out
    assert out.endswith(f"\n{folder}/trials/logs/{STUDY.name}/1/attempt-1.log\n")


def test_a_long_log_is_shown_from_its_end_and_says_how_to_see_all(cli: Cli) -> None:
    _, out, _ = cli("show", STUDY.name, "0")
    assert "its last 20 of 101 lines (all of it: --log)" in out
    assert "    step 99\n    \\x1b[2Jclears\n" in out
    assert "step 80\n" not in out


def test_the_whole_log_of_each_attempt_is_printed_on_request(cli: Cli) -> None:
    code, out, err = cli("show", STUDY.name, "0", "--log")
    assert (code, err) == (0, "")
    assert out.startswith("attempt 1:\nof the first attempt\nattempt 2:\nstep 0\nstep 1\n")
    assert "\x1b" not in out
    code, out, err = cli("show", STUDY.name, "2", "--log")
    assert (code, out) == (0, "")
    assert "no attempt of trial 2" in err


def test_json_is_one_object_and_csv_the_curve(cli: Cli) -> None:
    _, out, _ = cli("show", STUDY.name, "0", "--format", "json")
    found = json.loads(out)
    assert found["state"] == "completed"
    assert [log["attempt"] for log in found["logs"]] == [1, 2]
    assert found["logs"][0]["text"] == "of the first attempt\n"
    _, out, _ = cli("show", STUDY.name, "2", "--format", "csv")
    header, row = out.splitlines()
    assert header.startswith("attempt,epoch,")
    assert row.startswith("1,1,")


def test_a_study_shows_the_end_of_the_last_failure_and_its_unfinished_trials(cli: Cli) -> None:
    _, out, _ = cli("show", STUDY.name)
    assert f"trial 1 failed last; its output ended with (all of it: show {STUDY.name} 1 --log)" in out
    assert "\n    epoch 99%\n    no layer here\n" in out
    assert "trials that the next run continues\n" in out
    for form in ("json", "csv"):
        assert "no layer here" not in cli("show", STUDY.name, "--format", form)[1]


def test_trials_of_a_run_that_has_ended_wait_for_the_next(cli: Cli, folder: Path) -> None:
    with StudyWriter.open(folder / "trials", STUDY, versions={}) as writer:
        Session(STUDY, writer, writer.rows).close(SessionEnd.INTERRUPTED)
    assert "trials that the next run continues\n" in cli("show", STUDY.name)[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("7",), f"study '{STUDY.name}' has no trial 7; it has 0 to 2"),
        (("--log",), "--log needs the number of a trial"),
        (("1", "--audit"), "--audit is for a whole study"),
    ],
)
def test_what_cannot_be_shown_is_refused(cli: Cli, words: tuple[str, ...], says: str) -> None:
    code, out, err = cli("show", STUDY.name, *words)
    assert (code, out) == (2, "")
    assert says in err
