"""The work that a run of a study has before it, in trials, epochs and seconds: pure functions, for a dry run.

The numbers of epochs are bounds that no run leaves unless trials fail or a training function ends early. The
seconds are an estimate from measured epochs (`tune_jobs.session.pace`). Starts of workers are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tune_jobs.search.grid_order import count_points
from tune_jobs.search.history import History
from tune_jobs.session.attempt import SessionSettings
from tune_jobs.session.resume import new_inputs
from tune_jobs.study.bindings import EPOCHS
from tune_jobs.study.definition import Study
from tune_jobs.study.events import Enqueued, Point
from tune_jobs.study.method import SamplerName
from tune_jobs.study.parameters import Choice, Float, Integer


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The trials and epochs that a run has before it.

    Attributes:
        trials: trials to train, including `unfinished`.
        unfinished: trials that an earlier run began and did not end.
        given: points to try before the proposals of the sampler.
        least_epochs: epochs of all trials if each rung stops as many trials as it can.
        most_epochs: epochs of all trials if no rung stops a trial.
        likely_epochs: epochs of all trials if each rung lets the share continue that it is meant to; None
            without rungs, where only the space decides.
        longest: the most epochs of a trial.
        surely: epochs of the longest trial that no rung can stop; 0 if rungs may stop each.
    """

    trials: int
    unfinished: int
    given: int
    least_epochs: int
    most_epochs: int
    likely_epochs: int | None
    longest: int
    surely: int


def work_before(study: Study, history: History, settings: SessionSettings) -> Work:
    """The work of a run that continues from `history` with these settings.

    The least number of epochs rests on the rule of the rungs (`tune_jobs.search.asha`): the first trial that
    reaches a rung continues, so a study without reports has one trial that reaches its last epoch.
    """
    added = [
        p for detail in new_inputs(study, history, settings) if isinstance(detail, Enqueued)
        for p in detail.points
    ]  # fmt: skip
    unfinished = list(history.unfinished())
    num_left = _num_left(study, history, added, num_unfinished=len(unfinished))
    begun = [record.last_epoch for record in unfinished][:num_left]
    num_new = num_left - len(begun)
    shortest, longest = epochs_of_a_trial(study)
    first = min(shortest, *study.rungs) if study.rungs else shortest
    least = num_new * first + sum(max(0, first - epoch) for epoch in begun)
    is_fresh = not any(begun) and not any(rung.reports for rung in history.rungs.values())
    surely = shortest if num_left and (is_fresh or not study.rungs) else 0
    if surely:
        least += surely - first
    most = num_left * longest
    likely = None
    if study.rungs:
        likely = min(max(least, round(num_left * _likely_epochs(study, longest))), most)
    return Work(
        trials=num_left,
        unfinished=len(begun),
        given=len(history.enqueued) + len(added),
        least_epochs=least,
        most_epochs=most,
        likely_epochs=likely,
        longest=longest,
        surely=surely,
    )


def epochs_of_a_trial(study: Study) -> tuple[int, int]:
    """The epochs of the shortest and of the longest trial that runs to its end."""
    longest = study.max_epochs
    if study.recipe is None or EPOCHS not in study.space.names:  # own training binds no param to it
        return longest, longest
    parameter = study.space[EPOCHS]
    if isinstance(parameter, Float | Integer):
        return int(parameter.low), longest
    values = parameter.values if isinstance(parameter, Choice) else (parameter.value,)
    return min((value for value in values if isinstance(value, int)), default=longest), longest


def _num_left(study: Study, history: History, added: list[Point], *, num_unfinished: int) -> int:
    """How many trials are still to be trained; a grid may have fewer points than the study has trials."""
    num_again = sum(point.retry_of is not None for point in added)
    wanted = max(0, study.trials - history.num_trained + num_again)
    if study.sampler is not SamplerName.GRID:
        return wanted
    num_points = count_points(study.space)
    if num_points is None:
        return wanted
    proposed = history.next_number - history.num_dequeued
    available = max(0, num_points - proposed) + num_unfinished + len(history.enqueued) + len(added)
    return min(wanted, available)


def _likely_epochs(study: Study, longest: int) -> float:
    """The mean epochs of a trial if each rung lets one trial of `reduction_factor` continue."""
    assert study.asha is not None
    ends = (*study.rungs, longest)
    starts = (0, *study.rungs)
    return sum(
        (end - start) / float(study.asha.reduction_factor**index)
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The measured time of an epoch.

    Attributes:
        epoch_s: seconds of an epoch, the mean.
        count: epochs that were measured.
        source: the trials that were measured, in words.
    """

    epoch_s: float
    count: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeEstimate:
    """Seconds of training for the least, the likely and the most epochs of `Work`.

    Attributes:
        likely_s: None where `Work.likely_epochs` is.
        workers: trials at a time; None if unknown, and then the seconds are those of a single worker.
    """

    least_s: float
    likely_s: float | None
    most_s: float
    workers: int | None


def estimate_time(work: Work, pace: Pace, *, workers: int | None) -> TimeEstimate:
    """The time that the work takes at this pace.

    Workers share the epochs evenly, but a trial stays with its worker: no time is below that of the longest
    trial. Leaves out starts of workers and waits, and the fact that workers which share cores slow each other
    beyond the measured epochs.
    """

    def seconds(epochs: int, longest: int) -> float:
        return pace.epoch_s * max(epochs / min(workers or 1, max(work.trials, 1)), min(longest, epochs))

    return TimeEstimate(
        least_s=seconds(work.least_epochs, work.surely),
        likely_s=None if work.likely_epochs is None else seconds(work.likely_epochs, work.longest),
        most_s=seconds(work.most_epochs, work.longest),
        workers=workers,
    )
