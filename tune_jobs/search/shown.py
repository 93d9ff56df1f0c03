"""Chooses the trials that a sampler sees of a long history: the best, the newest, and those in hand.

The time of a TPE proposal grows with the trials that it looks at: 9 ms at 1,000 and 100 ms at 10,000 here.
TPE compares two densities. The first is the density of the best trials, at most 25 of them; the best are
always shown, so this density stays the same. The second is the density of the rest, in which Optuna gives the
newest 25 trials full weight and older trials less and less; here the rest holds only the newest trials.
`benchmarks.sampler` measures the cost (no difference beyond chance) and the gain.

Up to `MAX_SHOWN` trials all are shown, and proposals equal Optuna's own. A pure function of the history;
called by `sampler` and `optuna_view`.
"""

from __future__ import annotations

from tune_jobs.search.history import History
from tune_jobs.search.pareto import standings
from tune_jobs.search.records import NUM_BEST, TrialRecord
from tune_jobs.study.rows import State

MAX_SHOWN = 300
"""The most trials that a sampler looks at. With 250 or more, TPE counts 25 as good (a tenth, at most 25)."""


def shown_trials(history: History, *, most: int = MAX_SHOWN) -> list[TrialRecord]:
    """The trials to show, in order of number; more than `most` only if those in hand and the best are."""
    if len(history.trials) <= most:
        return [history.trials[number] for number in sorted(history.trials)]
    several = len(history.study.objectives) > 1
    best = _best_of_several(history, most) if several else history.best_numbers
    numbers = {record.number for record in history.unfinished()} | set(best)
    for number in range(history.next_number - 1, -1, -1):
        if len(numbers) >= most:
            break
        if number in history.trials:
            numbers.add(number)
    return [history.trials[number] for number in sorted(numbers)]


def _best_of_several(history: History, most: int) -> list[int]:
    """The first of the completed and the first of the stopped trials, by several objectives.

    TPE then counts a tenth of all shown trials as good. This takes as many, or `NUM_BEST` if that is more.
    """
    count = max(NUM_BEST, -(-most // 10))
    completed = _of(history, State.COMPLETED)
    stopped = _of(history, State.STOPPED)
    farthest = sorted({record.last_epoch for record in stopped}, reverse=True)
    chosen = _first(history, completed, count)
    best_stopped: list[int] = []
    for epoch in farthest:
        if len(best_stopped) >= count:
            break
        best_stopped += _first(history, [r for r in stopped if r.last_epoch == epoch], count)
    return chosen + best_stopped[:count]


def _of(history: History, state: State) -> list[TrialRecord]:
    return [r for r in history.trials.values() if r.state is state and r.point is not None]


def _first(history: History, records: list[TrialRecord], count: int) -> list[int]:
    places = standings([record.point for record in records if record.point], history.study.objectives)
    ranked = sorted(zip(places, (record.number for record in records), strict=True))
    return [number for _, number in ranked[:count]]
