"""Which trials a sampler is shown once a history is long: the best ones, the newest ones, and those in hand.

TPE's work for a proposal grows with the trials that it looks at: 9 ms at 1,000 and 100 ms at 10,000 here. It
compares two densities. One is of the best trials, at most 25 of them however many there are; the best are
always shown, so that one is the same. The other is of the rest, where Optuna weighs the newest 25 fully and
older ones less and less; here the rest ends after the newest. `benchmarks.sampler` shows what that costs
(nothing that could be told from chance) and gains.

Below the bound every trial is shown, and nothing differs from Optuna's own. A function of the history.
"""

from __future__ import annotations

from tune_jobs.search.history import History, TrialRecord

MAX_SHOWN = 300
"""Trials that a sampler looks at; at 250 and more TPE's best are 25 (a tenth, at most 25)."""


def shown_trials(history: History, *, most: int = MAX_SHOWN) -> list[TrialRecord]:
    """The trials to show, in order of number; more than `most` only if so many are in hand."""
    if len(history.trials) <= most:
        return [history.trials[number] for number in sorted(history.trials)]
    numbers = {record.number for record in history.unfinished()} | set(history.best_numbers)
    for number in range(history.next_number - 1, -1, -1):
        if len(numbers) >= most:
            break
        if number in history.trials:
            numbers.add(number)
    return [history.trials[number] for number in sorted(numbers)]
