"""Notices a trial that says nothing for many times its usual epoch, and says so once for each silence.

It decides nothing: a slow trial is not a hung trial, and only ``--trial-timeout`` ends a worker. Without that
option a hung worker would hold its place unnoticed for days. Knows neither Ray nor a clock:
`tune_jobs.on_ray` passes instants of a monotonic clock, in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median

from eml_models.wording import duration_of
from tune_jobs.study.rows import ReportRow, Row

MANY = 10
"""Usual epochs without a word that make a silence."""

QUICK_S = 0.001
"""The least seconds of an epoch: a worker sends the reports of quick epochs together, and none took 0 s."""

LEAST_S = 60.0
"""No shorter time is a silence: an epoch of a second may take ten on a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A trial that has said nothing for long.

    Attributes:
        silent_s: seconds since its last message.
        last_epoch: its last epoch in this attempt; 0 if its training has begun and no epoch has ended.
        usual_s: seconds of an epoch: the median of its own, or before its first the longest of the study.
        is_own: whether `usual_s` is of its own epochs.
        place: where its worker is, and where its output is, in words.
    """

    number: int
    silent_s: float
    last_epoch: int
    usual_s: float
    is_own: bool
    place: str

    def describe(self, *, timeout_s: float | None) -> str:
        """The silence and what to do, in words.

        Args:
            timeout_s: seconds after which a silent worker ends itself; None for never.
        """
        since = f"since epoch {self.last_epoch}" if self.last_epoch else "since its training began"
        usual = duration_of(self.usual_s)
        known = (
            f"its epochs take {usual}" if self.is_own else f"no epoch of the study took longer than {usual}"
        )
        if timeout_s is not None:
            way_out = f"its worker ends itself after {duration_of(timeout_s)} (--trial-timeout)"
        else:
            limit_s = math.ceil(_limit_s(self.usual_s))
            way_out = (
                "the run keeps waiting. If it hangs, press Ctrl-C and run the same command again with"
                f" --trial-timeout {limit_s}: that ends a silent worker, and tries its trial again from its"
                " checkpoint"
            )
        silent = f"trial {self.number} has said nothing for {duration_of(self.silent_s)}, {since}"
        return f"{silent}, and {known}. {self.place}; {way_out}"


@dataclass(slots=True, kw_only=True)
class _Listened:
    """A trial in training: the instant and the epoch of its last message, and the seconds of its epochs."""

    place: str
    heard_at: float
    last_epoch: int = 0
    epochs_s: list[float] = field(default_factory=list)
    is_said: bool = False


class SilenceWatch:
    """Listens to the trials that train now.

    Until an epoch of the study has ended, nothing is usual, and no silence is noticed. The preparation of a
    trial (its data, its code) is not listened to: it may download a data set.

    Args:
        longest_s: seconds of the longest epoch of earlier runs; 0 if there is none.
    """

    def __init__(self, *, longest_s: float = 0.0) -> None:
        self._longest_s = longest_s
        self._trials: dict[int, _Listened] = {}

    def begin(self, number: int, now: float, *, place: str) -> None:
        """Listen to a trial, whose training begins."""
        self._trials[number] = _Listened(place=place, heard_at=now)

    def hear(self, number: int, now: float, *, epoch: int) -> None:
        """Note the report of an epoch. A trial that is not listened to is ignored."""
        trial = self._trials.get(number)
        if trial is None:
            return
        epoch_s = max(QUICK_S, now - trial.heard_at)
        trial.epochs_s.append(epoch_s)
        self._longest_s = max(self._longest_s, epoch_s)
        trial.heard_at, trial.last_epoch, trial.is_said = now, epoch, False

    def end(self, number: int) -> None:
        """Listen no longer to a trial that has ended, or whose worker has died."""
        self._trials.pop(number, None)

    def iter_new(self, now: float) -> Iterator[Silence]:
        """The silences that have become long since the last call; each comes once."""
        for number, trial in self._trials.items():
            is_own = bool(trial.epochs_s)
            usual_s = median(trial.epochs_s) if is_own else self._longest_s
            silent_s = now - trial.heard_at
            if trial.is_said or not usual_s or silent_s < _limit_s(usual_s):
                continue
            trial.is_said = True
            yield Silence(
                number=number,
                silent_s=silent_s,
                last_epoch=trial.last_epoch,
                usual_s=usual_s,
                is_own=is_own,
                place=trial.place,
            )


def _limit_s(usual_s: float) -> float:
    """Seconds without a word that make a silence."""
    return max(LEAST_S, MANY * usual_s)


def longest_epoch_s(rows: Iterable[Row]) -> float:
    """Seconds of the longest epoch that the rows of a study hold; 0 if none says."""
    return max((row.epoch_s or 0.0 for row in rows if isinstance(row, ReportRow)), default=0.0)
