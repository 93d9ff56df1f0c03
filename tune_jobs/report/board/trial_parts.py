"""The parts of a trial's page: its tables, and the ends of its logs.

Pure: texts from rows and from bytes of logs. Called by `server`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tune_jobs.analysis.one_trial import facts_of
from tune_jobs.checkpoints.bounded_log import terminal_lines
from tune_jobs.report.board.addresses import log_path
from tune_jobs.report.board.study_parts import noted_table, section
from tune_jobs.report.page.markup import escaped
from tune_jobs.report.trial_page import trial_tables
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.stored import objectives_of

FACTS, LOGS = "facts", "logs"
HEADLINES: Mapping[str, str] = {FACTS: "Facts", LOGS: "Logs"}
"""The parts of the page in their order."""

END_BYTES = 64 << 10
"""The last bytes of a log that the page shows; a link leads to all of it."""

LINE_CHARACTERS = 4000
"""Most characters of a line that the page shows."""

MOST_SHOWN = 4
"""The newest attempts whose logs the page shows; links lead to the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnd:
    """The end of an attempt's log.

    Attributes:
        size: of the whole log, in bytes.
        end: its last bytes; None if only the link is shown.
    """

    attempt: int
    size: int
    end: bytes | None


def facts_part(known: StudySnapshot, number: int) -> str:
    """What the rows say of a trial, as `show STUDY TRIAL` does.

    Raises:
        InvalidValueError: the study has no such trial.
    """
    facts = facts_of(known.rows, number, study=known.study)
    tables = trial_tables(facts, metric=objectives_of(known.definition)[0].metric)
    body = "".join(noted_table(table, {}) for table in tables)
    return section(FACTS, body, title=HEADLINES[FACTS])


def words_part(words: str) -> str:
    """A sentence in the place of the facts."""
    return section(FACTS, f"<p>{escaped(words, 2000)}</p>", title=HEADLINES[FACTS])


def logs_part(study: str, number: int, logs: Sequence[LogEnd]) -> str:
    """The ends of a trial's logs, the newest attempt first, each with a link to the whole."""
    if not logs:
        body = (
            '<p class="soft">No attempt of this trial has a log: none printed anything, or it was trained'
            " with --inline, which prints to the terminal.</p>"
        )
        return section(LOGS, body, title=HEADLINES[LOGS])
    newest = sorted(logs, key=lambda log: -log.attempt)
    return section(LOGS, "".join(_log(study, number, log) for log in newest), title=HEADLINES[LOGS])


def _log(study: str, number: int, log: LogEnd) -> str:
    link = f'<a href="{log_path(study, number, log.attempt)}">the whole log, {log.size:,} bytes, as text</a>'
    title = f"Attempt {log.attempt}"
    if log.end is None:
        return f"<h3>{title}</h3><p>{link}</p>"
    lines = terminal_lines(log.end.decode(errors="replace"))
    whole = log.size <= len(log.end)
    if not whole and len(lines) > 1:
        lines = lines[1:]  # the first is half a line
    text = "\n".join(escaped(line, LINE_CHARACTERS) for line in lines)
    said = "all of it" if whole else f"the last {len(log.end) >> 10:,} KiB"
    return (
        f'<h3>{title}</h3><p>{said}; {link}</p><pre class="scroll log" role="region" tabindex="0"'
        f' aria-label="log of attempt {log.attempt}">{text}</pre>'
    )
