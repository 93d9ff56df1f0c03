"""Which trials of one study another can learn from. Reads rows; the session writes what comes out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.wording import count_of
from tune_jobs.search.given import MAX_TOLD, ToldTrial, check_point
from tune_jobs.space import Constant, Params
from tune_jobs.store.reader import TrialStore
from tune_jobs.study import Study
from tune_jobs.trial import EventKind, EventRow, ReportRow, Row, StartRow, State, TrialRow

SEPARATOR = "::"
"""Between a store and a study's name; a path may hold single colons."""


OUTSIDE = "with params outside this space"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A study to learn from: its name, where it lies, and the trials that say something to the new one.

    Attributes:
        left_out: how many of its trials are not told, by the reason in words.
    """

    origin: str
    trials: tuple[ToldTrial, ...]
    left_out: Mapping[str, int]

    def describe(self, rows: Iterable[Row]) -> str:
        """How many trials a study with these rows is told and how many not, and why, in one line."""
        if is_told(self.origin, rows):
            return f"warm start: {self.origin!r} was told in an earlier run of this study, and only once"
        told = f"{count_of(len(self.trials), 'trial')} of {self.origin!r} told to the sampler"
        left_out = "; ".join(f"{count:,} left out, {why}" for why, count in self.left_out.items())
        return f"warm start: {told}{f'; {left_out}' if left_out else ''}"


def read_source(study: Study, text: str, *, store: str) -> Source:
    """The trials of the study that `text` names (``NAME`` or ``STORE::NAME``).

    Raises:
        InvalidValueError: the study is this one, searches for another metric, or none of its trials fits.
        UnknownNameError: the store holds no such study.
        StoreMissingError: there is no store.
    """
    other, separator, name = text.rpartition(SEPARATOR)
    where = other if separator else store
    if name == study.name and where == store:
        raise InvalidValueError(f"study {name!r} cannot warm-start from itself; it knows its own trials")
    opened = TrialStore(where)
    theirs = [objective["metric"] for objective in opened.definition(name)["objectives"]]
    if theirs[0] != study.objective.metric or not set(study.metrics) <= set(theirs):
        raise InvalidValueError(
            f"warm start needs the same objectives: {name!r} searches {', '.join(theirs)}, {study.name!r}"
            f" searches {', '.join(objective.metric for objective in study.objectives)}"
        )
    told, left_out = choose_told(study, opened.rows(name))
    if not told:
        why = "; ".join(f"{count:,} {reason}" for reason, count in left_out.items()) or "it has none"
        raise InvalidValueError(
            f"no trial of {name!r} can be learned from: {why}. Params must be of this space"
            f" ({', '.join(study.space.names)}); choose another study to warm-start from"
        )
    return Source(origin=text, trials=tuple(told), left_out=left_out)


def is_told(origin: str, rows: Iterable[Row]) -> bool:
    """Whether a study with these rows has learned from that origin before; it is told once."""
    return any(
        isinstance(row, EventRow)
        and row.kind is EventKind.WARM_STARTED
        and json.loads(row.detail)["from"] == origin
        for row in rows
    )


def choose_told(study: Study, rows: Iterable[Row]) -> tuple[list[ToldTrial], dict[str, int]]:
    """The trials that fit the study's space, at most `MAX_TOLD`, and how many were left out and why.

    A trial fits if its params, without those that this space does not have and with its constants, are a
    point of the space. Failed trials are not told. Beyond the most that are told, the
    best half and the newest half are taken.
    """
    reports: dict[int, ReportRow] = {}
    ends: list[TrialRow] = []
    numbers: set[int] = set()
    num_failed = 0
    for row in rows:
        if isinstance(row, StartRow | TrialRow):
            numbers.add(row.number)
        if isinstance(row, TrialRow) and row.state in (State.COMPLETED, State.STOPPED, State.INFEASIBLE):
            ends.append(row)
        elif isinstance(row, TrialRow):
            num_failed += 1
        elif isinstance(row, ReportRow):
            last = reports.get(row.number)
            reports[row.number] = row if last is None or row.epoch > last.epoch else last
    told = [
        ToldTrial(params=params, end=end, last_report=reports.get(end.number))
        for end in ends
        if (params := _fitting(study, end)) is not None
    ]
    chosen = _most_telling(study, told)
    left_out = {
        OUTSIDE: len(ends) - len(told),
        f"beyond the {MAX_TOLD} that say most": len(told) - len(chosen),
        "failed or cancelled": num_failed,
        "not ended": len(numbers) - len(ends) - num_failed,
    }
    return chosen, {why: count for why, count in left_out.items() if count}


def _fitting(study: Study, end: TrialRow) -> Params | None:
    data: Mapping[str, Any] = json.loads(end.params)
    names = set(study.space.names)
    known = {name: value for name, value in data.items() if name in names}
    constants = {p.name: p.value for p in study.space.parameters if isinstance(p, Constant)}
    try:
        point = check_point(study.space, {**known, **{n: v for n, v in constants.items() if n in known}})
        applying = {p.name for p in study.space.active({**constants, **point})}
        return study.space.validated({**{n: v for n, v in constants.items() if n in applying}, **point})
    except InvalidValueError:
        return None


def _most_telling(study: Study, told: list[ToldTrial]) -> list[ToldTrial]:
    if len(told) <= MAX_TOLD:
        return told
    sign = -1.0 if study.objective.is_better(1.0, 0.0) else 1.0

    def key(trial: ToldTrial) -> tuple[bool, float]:
        value = trial.end.objective
        return value is None, sign * (value or 0.0)

    best = {id(trial) for trial in sorted(told, key=key)[: MAX_TOLD // 2]}
    rest = [trial for trial in told if id(trial) not in best][-(MAX_TOLD - len(best)) :]
    newest = {id(trial) for trial in rest}
    return [trial for trial in told if id(trial) in best or id(trial) in newest]
