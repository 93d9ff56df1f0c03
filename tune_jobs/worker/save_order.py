"""Notices a training function that saves behind the report of an epoch, and not before it.

What ``run.save`` takes belongs to the next report (`trial_run`). A function that yields, and then saves, has
each state counted as that of the next epoch; after a kill, its epochs are one behind their numbers. A state
saved before the training of an epoch cannot be the state after it, and the seconds show that: nearly all of
the epoch comes behind the save. Pure; called by `own_attempt`.
"""

from __future__ import annotations

NUM_REPORTS = 3
"""Reports of an attempt after which the order is known: the first without a save, then two saves in a row."""

EARLY = 0.1
"""The part of an epoch's seconds within which a save counts as right behind the report before."""

LEAST_S = 0.05
"""The seconds of an epoch below which the order of its parts says nothing."""

ADVICE = (
    "run.save is called behind each report, so a state counts as that of the next epoch, and after a kill the"
    " trial would continue one epoch behind; call run.save before the report of its epoch"
)


class SaveOrder:
    """The saves of one attempt, report by report."""

    def __init__(self) -> None:
        self._num_reports, self._all_behind = 0, True

    def hear(self, epoch_s: float, saved_after_s: float | None) -> bool:
        """Whether it is known with this report that the function saves behind its reports; true at most once.

        Args:
            epoch_s: seconds since the report before.
            saved_after_s: seconds from the report before until the last save began; None without a save.
        """
        self._num_reports += 1
        if self._num_reports == 1:
            behind = saved_after_s is None
        else:
            behind = saved_after_s is not None and epoch_s >= LEAST_S and saved_after_s <= EARLY * epoch_s
        self._all_behind = self._all_behind and behind
        return self._all_behind and self._num_reports == NUM_REPORTS
