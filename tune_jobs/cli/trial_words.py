"""A trial by its word: its number, or `best`.

Called by `network_commands` and `latency_commands`.
"""

from __future__ import annotations

from eml_models.errors import InvalidValueError
from tune_jobs.cli.completing import BEST
from tune_jobs.cli.telling import tell_note
from tune_jobs.report.leaderboard import ranked
from tune_jobs.report.text import format_value
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.stored import objectives_of


def number_of(word: int | str, known: StudySnapshot) -> int:
    """The number of the trial that a word names; a note says which trial is the best.

    Of several objectives the first counts.

    Raises:
        InvalidValueError: no trial of the study has completed, so none is the best.
    """
    if word != BEST:
        return int(word)
    objective = objectives_of(known.definition)[0]
    completed = ranked(known.trials, objective)
    if not len(completed):
        raise InvalidValueError(
            f"study {known.study!r} must have a completed trial for the word {BEST}, and has none; name a"
            " trial by its number"
        )
    first = completed.iloc[0]
    tell_note(f"the best trial is {first['number']}: {objective.metric} {format_value(first['objective'])}")
    return int(first["number"])
