"""Checks the rows of a study: computes each proposal and each decision of a rung again, and compares.

The row of a proposal or decision holds `history_seq`, the `seq` of the last row that was known. The audit
folds the history up to that row and asks the pure functions of `tune_jobs.search` again: their answer must
equal the row. Reads rows only; the command ``show --audit`` calls it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tune_jobs.search.asha import decide
from tune_jobs.search.history import History
from tune_jobs.search.queue import QueueFirst
from tune_jobs.search.sampler import Sampler
from tune_jobs.study.definition import Study
from tune_jobs.study.json_fields import params_from_json
from tune_jobs.study.rows import ReportRow, Row, StartRow, State, TrialRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit checked, and the differences that it found, in words.

    A trial counts as one proposal, however many attempts it took. The params of each attempt are checked.
    """

    num_proposals: int
    num_decisions: int
    differences: tuple[str, ...]


def audit(study: Study, rows: Iterable[Row]) -> Audit:
    """Compute every proposal and decision of a study's rows again.

    A later attempt proposes nothing: its params must be those of the trial's first row.
    """
    ordered = sorted(rows, key=lambda row: row.seq)
    asking: dict[int, list[Row]] = defaultdict(list)
    for row in ordered:
        if (known := _history_seq(row)) is not None:
            asking[known].append(row)
    history, sampler = History(study), QueueFirst(study)
    differences: list[str] = []
    waiting = deque(sorted(asking))
    for row in ordered:
        while waiting and waiting[0] < row.seq:  # the last known row may be missing after a repair
            differences += _check_all(study, history, sampler, asking[waiting.popleft()])
        history.apply(row)
    for known in waiting:
        differences += _check_all(study, history, sampler, asking[known])
    checked = [row for group in asking.values() for row in group]
    num_decisions = sum(isinstance(row, ReportRow) for row in checked)
    proposed = {row.number for row in checked if isinstance(row, StartRow | TrialRow)}
    return Audit(
        num_proposals=len(proposed),
        num_decisions=num_decisions,
        differences=tuple(differences),
    )


def _history_seq(row: Row) -> int | None:
    if isinstance(row, StartRow):
        return row.history_seq
    if isinstance(row, ReportRow):
        return row.history_seq if row.decision is not None else None
    if isinstance(row, TrialRow) and row.state is State.INFEASIBLE:
        return row.history_seq
    return None


def _check_all(study: Study, history: History, sampler: Sampler, rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if isinstance(row, ReportRow):
            yield from _check_decision(study, history, row)
        elif isinstance(row, StartRow | TrialRow):
            yield from _check_proposal(history, sampler, row)


def _check_proposal(history: History, sampler: Sampler, row: StartRow | TrialRow) -> Iterator[str]:
    earlier = history.trials.get(row.number)
    expected = earlier.params if earlier else sampler.propose(history, row.number)
    params = params_from_json(row.params)
    if expected != params:
        yield f"row {row.seq}: trial {row.number} has the params {params}; the sampler proposes {expected}"


def _check_decision(study: Study, history: History, row: ReportRow) -> Iterator[str]:
    metrics = {name: row.value(name) for name in study.metrics}
    verdict = decide(study, history, row.number, row.epoch, metrics)
    expected = verdict.decision if verdict else None
    if expected is not row.decision:
        yield (
            f"row {row.seq}: trial {row.number} at epoch {row.epoch} has the decision {row.decision}; the"
            f" rung decides {expected or 'nothing'}{f' ({verdict.reason})' if verdict else ''}"
        )
