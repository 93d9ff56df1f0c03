"""Finds the runs and attempts of a study whose code differs from that of the run before.

The code is that of the training and, of own training, the function of costs; a digest stands for each.

A study stays the same when its code changes, so that a mended bug does not cost the trials before it. The
results name the change instead, and the last trial before it. Pure functions of rows, called by `replay`,
`tune_jobs.on_ray.runner` and `tune_jobs.report.documents`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from eml_models.wording import count_of
from tune_jobs.study.code_digest import parts_of
from tune_jobs.study.events import AttemptStarted, SessionStarted, detail_of
from tune_jobs.study.rows import EventRow, Row

SHOWN_TRIALS = 5
"""How many numbers of trials a line names."""


@dataclass(slots=True)
class _Run:
    """One session: the digest of its driver's code, and the digests of its attempts by trial number."""

    code: str
    before: int | None
    others: dict[str, set[int]] = field(default_factory=dict)


def describe_code_changes(rows: Sequence[Row], *, now: str | None = None) -> list[str]:
    """A line for each change of code between two runs, and for each other code of a run's workers.

    Args:
        rows: a study's rows in order.
        now: the digest of the code that is about to run; None to describe the stored runs alone.
    """
    runs = _list_runs(rows)
    if now is not None:
        runs.append(_Run(now, _last_number(rows)))
    lines: list[str] = []
    for index, run in enumerate(runs):
        if index and runs[index - 1].code != run.code:
            lines += _iter_changes(runs[index - 1].code, run)
        lines += _iter_others(run)
    return lines


def notes_of_change(rows: Sequence[Row], now: str) -> list[str]:
    """The lines on a change of code since the last stored run; empty if there is no change."""
    runs = _list_runs(rows)
    return list(_iter_changes(runs[-1].code, _Run(now, _last_number(rows)))) if runs else []


def _iter_changes(before: str, run: _Run) -> Iterator[str]:
    since = "before its first trial" if run.before is None else f"after trial {run.before}"
    (training_before, cost_before), (training, cost) = parts_of(before), parts_of(run.code)
    if training_before != training:
        yield f"code changed {since}: {training_before} -> {training}"
    if cost_before != cost:
        yield (
            f"cost function changed {since}: {cost_before or 'none'} -> {cost or 'none'}; the trials before"
            " keep their stored costs"
        )


def code_of_trial(rows: Sequence[Row], number: int) -> str | None:
    """The digest of the code of a trial's last attempt; None if no digest is stored."""
    found = None
    for row in rows:
        if isinstance(row, EventRow) and row.number == number:
            found = row.code or found
    return found


def _list_runs(rows: Sequence[Row]) -> list[_Run]:
    runs: dict[str, _Run] = {}
    last: int | None = None
    for row in rows:
        if not isinstance(row, EventRow):
            continue
        detail = detail_of(row)
        if isinstance(detail, SessionStarted) and detail.code is not None:
            runs[row.session] = _Run(detail.code, last)
        elif isinstance(detail, AttemptStarted) and row.number is not None:
            last = row.number if last is None else max(last, row.number)
            run = runs.get(row.session)
            if run is not None and row.code is not None and row.code != run.code:
                run.others.setdefault(row.code, set()).add(row.number)
    return list(runs.values())


def _last_number(rows: Sequence[Row]) -> int | None:
    numbers = (
        row.number
        for row in rows
        if isinstance(row, EventRow) and isinstance(detail_of(row), AttemptStarted) and row.number is not None
    )
    return max(numbers, default=None)


def _iter_others(run: _Run) -> Iterator[str]:
    for code, numbers in sorted(run.others.items()):
        named = ", ".join(map(str, sorted(numbers)[:SHOWN_TRIALS]))
        more = f" and {len(numbers) - SHOWN_TRIALS} more" if len(numbers) > SHOWN_TRIALS else ""
        yield (
            f"{count_of(len(numbers), 'trial')} ({named}{more}) trained with other code than the run:"
            f" {code} instead of {run.code}; the nodes hold different versions"
        )
