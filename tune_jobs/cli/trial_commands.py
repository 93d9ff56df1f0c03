"""Acts for `show STUDY TRIAL`: prints the page of one trial, or its log alone. Called by `store_verbs`."""

from __future__ import annotations

import json

from eml_models.wording import harmless
from tune_jobs.analysis.gpu_busy import describe_launches
from tune_jobs.analysis.one_trial import TrialFacts, facts_of, last_failed
from tune_jobs.checkpoints.bounded_log import last_lines, terminal_lines
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.cli.telling import put, say, tell, tell_note
from tune_jobs.errors import StoreError
from tune_jobs.inputs.user_code import stored_name
from tune_jobs.report.formats import JSON, TABLE
from tune_jobs.report.render import render
from tune_jobs.report.trial_page import ShownLog, curve, trial_object, trial_tables
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.stored import objectives_of

NUM_LINES = 20
"""How many lines of a log the page of its trial shows."""

NUM_FAILED_LINES = 8
"""How many lines of the last failed trial's log the page of a study shows."""


def print_trial(store: str, name: str, number: int, form: str) -> None:
    """Print one trial: tables and the end of its log; as JSON one object, as CSV the curve.

    Raises:
        UnknownNameError: no such study.
        InvalidValueError: the study has no such trial.
    """
    opened = TrialStore(store)
    known = opened.read(stored_name(name))
    facts = facts_of(known.rows, number, study=known.study)
    metric = objectives_of(known.definition)[0].metric
    if form == TABLE:
        for table in trial_tables(facts, metric=metric):
            put(render(table, form))
        _say_log(_logs_of(str(opened.path), facts), facts)
        for line in describe_launches(row for row in known.rows if row.number == number):
            tell_note(line)
    elif form == JSON:
        found = trial_object(facts, _logs_of(str(opened.path), facts))
        put(json.dumps(found, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    else:
        put(render(curve(facts, metric=metric, whole=True), form))


def print_log(store: str, name: str, number: int) -> None:
    """Print the logs of all attempts of a trial, each under the number of its attempt if there are several.

    Raises:
        UnknownNameError: no such study.
        InvalidValueError: the study has no such trial.
    """
    opened = TrialStore(store)
    known = opened.read(stored_name(name))
    logs = _logs_of(str(opened.path), facts_of(known.rows, number, study=known.study))
    for log in logs:
        if len(logs) > 1:
            say(f"attempt {log.attempt}:")
        for line in terminal_lines(log.text):
            say(line)
    if not logs:
        tell(
            f"no attempt of trial {number} of {known.study!r} has a log: none printed anything, or it was"
            " trained with --inline, which prints to the terminal"
        )


def say_last_failure(store: str, known: StudySnapshot) -> None:
    """Print the end of the log of the trial that failed last, if it has a log and did not diverge."""
    end = last_failed(known.rows)
    if end is None:
        return
    lines = Logs(store=store, study=known.study).tail(end.number, end.attempt, num_lines=NUM_FAILED_LINES)
    if lines:
        say(
            f"trial {end.number} failed last; its output ended with (all of it: show {known.study}"
            f" {end.number} --log):\n"
        )
        for line in lines:
            say(f"    {line}")
        say()


def _logs_of(store: str, facts: TrialFacts) -> list[ShownLog]:
    """The logs of a trial, oldest attempt first.

    Raises:
        StoreError: the store cannot be read.
    """
    logs = Logs(store=store, study=facts.study)
    try:
        found = [(attempt, logs.read(facts.number, attempt)) for attempt in logs.attempts(facts.number)]
    except OSError as error:
        raise StoreError(f"the logs in {store!r} cannot be read: {error}") from error
    return [
        ShownLog(attempt=attempt, where=logs.describe(facts.number, attempt), text=text)
        for attempt, text in found
        if text is not None
    ]


def _say_log(logs: list[ShownLog], facts: TrialFacts) -> None:
    if not logs:
        return
    log = logs[-1]
    lines = terminal_lines(log.text)
    shown = last_lines(log.text, NUM_LINES)
    which = f"log of attempt {log.attempt}" if len(facts.attempts) > 1 else "log"
    more = (
        f", its last {len(shown)} of {len(lines):,} lines (all of it: --log)"
        if len(shown) < len(lines)
        else ""
    )
    say(f"{which}{more}\n")
    for line in shown:
        say(f"    {harmless(line)}")
    say(f"\n{log.where}")
