"""Proposals for the next trial, as a pure function of the study, its history and the trial's number.

Equal (study, rows up to ``history.seq``, number) give equal params, on every machine with the same versions
of Optuna and NumPy: each proposal has its own sampler and its own seed, ``seeds.derive(study.seed, number,
"sampler")``, and nothing is written to Optuna. `queue` asks for the session, which writes the params into a
row. Limits are not checked here: a refused proposal becomes part of the history, and TPE learns from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from eml_models import seeds
from eml_models.errors import InvalidValueError
from eml_models.wording import count_of
from tune_jobs.search.distributions import distribution_of, joint_groups, only_value, value_of
from tune_jobs.search.grid_order import iter_points
from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import OptunaView
from tune_jobs.search.shown import MAX_SHOWN
from tune_jobs.study.bindings import REPEAT
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName
from tune_jobs.study.parameters import Constant, Params

NUM_STARTUP_TRIALS = 10
"""Ended trials before TPE takes over from random search; Optuna's default."""


class Sampler(Protocol):
    """Makes proposals. Every implementation passes `tune_jobs.testing.contracts.samplers`."""

    def propose(self, history: History, number: int) -> Params | None:
        """Valid params for trial `number`, or None if the space is exhausted."""
        ...

    def end_reason(self, number: int) -> str | None:
        """Why there is no proposal for trial `number`; None if there is one."""
        ...


def build_sampler(study: Study) -> Sampler:
    """The study's sampler.

    Raises:
        InvalidValueError: the sampler is a grid, and the space has a continuous parameter.
    """
    samplers: dict[SamplerName, Callable[[Study], Sampler]] = {
        SamplerName.TPE: Tpe,
        SamplerName.RANDOM: Random,
        SamplerName.GRID: Grid,
    }
    return samplers[study.sampler](study)


class Tpe:
    """Optuna's TPE: multivariate, constant liar, with pruned and infeasible trials taken into account.

    Parameters that apply under the same condition are drawn jointly, and after the parameters on which they
    depend. It looks at no more than `most` trials (see `shown`). Source: Bergstra et al. 2011; Watanabe
    2023, arXiv 2304.11127.
    """

    def __init__(self, study: Study, *, most: int = MAX_SHOWN) -> None:
        self._draw = Draw(study, most=most)
        self._seed = study.seed

    def propose(self, history: History, number: int) -> Params:
        sampler = TPESampler(
            seed=seeds.derive(self._seed, number, "sampler"),
            n_startup_trials=NUM_STARTUP_TRIALS,
            multivariate=True,
            constant_liar=True,
        )
        return self._draw.params(sampler, history)

    def end_reason(self, number: int) -> str | None:
        return None


class Random:
    """Independent draws, uniform on each parameter's scale. They depend on (study.seed, number) alone."""

    def __init__(self, study: Study) -> None:
        self._draw = Draw(study)
        self._seed = study.seed
        self._nothing = History(study)

    def propose(self, history: History, number: int) -> Params:
        return self._draw.params(
            RandomSampler(seed=seeds.derive(self._seed, number, "sampler")), self._nothing
        )

    def end_reason(self, number: int) -> str | None:
        return None


class Grid:
    """Every point of the space once, in the seeded order of `grid_order`, which is balanced wherever it ends.

    Trial `number` gets the point of that index, whatever the history is, so that no point is proposed twice,
    even after a kill. Points are computed up to the highest number asked for: a huge grid costs no more than
    the part that is used.
    """

    def __init__(self, study: Study) -> None:
        self._trials = study.trials
        self._points: list[Params] = []
        for parameter in study.space.parameters:
            if parameter.grid() is None:
                raise InvalidValueError(
                    f"sampler 'grid' needs a finite number of points, but {parameter.name!r} is continuous;"
                    " give it a step or make it a Choice, or choose another sampler"
                )
        repeat = REPEAT if study.train is None else None
        self._rest = iter_points(study.space, seeds.derive(study.seed, -1, "grid"), repeat=repeat)

    def propose(self, history: History, number: int) -> Params | None:
        return self._point(number)

    def end_reason(self, number: int) -> str | None:
        if self._point(number) is not None:
            return None
        return (
            f"the grid has {count_of(len(self._points), 'point')} and all of them were proposed;"
            " add values to the space, or search it with another sampler, under another --name"
        )

    def _point(self, number: int) -> Params | None:
        while len(self._points) <= number:
            point = next(self._rest, None)
            if point is None:
                return None
            self._points.append(point)
        return dict(self._points[number])


class Draw:
    """Draws the params of a proposal with an Optuna sampler, one group of the space after the other."""

    def __init__(self, study: Study, *, most: int = MAX_SHOWN) -> None:
        self._space, self._most = study.space, most
        self._view = OptunaView(study)
        self._group_of = {
            parameter.name: {member.name: distribution_of(member) for member in group}
            for group in joint_groups(study.space)
            for parameter in group
        }

    def params(self, sampler: BaseSampler, history: History) -> Params:
        """A valid point of the space, with its parameters in the space's order."""
        asked = self._view.study_of(history, sampler, most=self._most)
        trial = create_trial(state=TrialState.RUNNING)
        drawn: dict[str, object] = {}
        params: Params = {}
        for parameter in self._space.parameters:
            if parameter.when is not None and not parameter.when.holds(params):
                continue
            name = parameter.name
            group = self._group_of.get(name)
            if isinstance(parameter, Constant) or group is None:
                params[name] = only_value(parameter)
                continue
            if name not in drawn:
                drawn |= draw_group(sampler, asked, trial, group)
            params[name] = value_of(parameter, drawn[name])
        return self._space.validated(params)


def draw_group(
    sampler: BaseSampler, asked: optuna.Study, trial: FrozenTrial, group: dict[str, BaseDistribution]
) -> dict[str, object]:
    """A value for each parameter of a group: drawn jointly if the sampler can, else one by one."""
    drawn = sampler.sample_relative(asked, trial, group)
    for name, distribution in group.items():
        if name not in drawn:
            drawn[name] = sampler.sample_independent(asked, trial, name, distribution)
    return drawn
