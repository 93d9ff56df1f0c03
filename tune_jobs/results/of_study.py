"""What a study came to at one instant: its best trial, its front, its failures, frames, and Optuna's view.

A value: it holds the rows that were in the store when it was made, and reads the store again for weights
and for timings of networks alone. `trial_store` makes it of a store, `running` at the end of a run.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from eml_models.errors import InvalidValueError
from eml_models.shown import html_table
from eml_models.wording import count_of, listed
from tune_jobs.errors import NoBestTrialError
from tune_jobs.results.one_trial import Kept, TrialResult
from tune_jobs.study.definition import Study
from tune_jobs.study.json_fields import objectives_from_json, params_from_json
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import State, TrialRow
from tune_jobs.study.stored import objectives_of

if TYPE_CHECKING:  # both are heavy, and only a frame or a conversion needs them
    import pandas as pd

    from tune_jobs.report.figures.figure import Figure
    from tune_jobs.report.figures.seen import Seen
    from tune_jobs.search.optuna_copy import OptunaStudy
    from tune_jobs.store.reading.study_snapshot import StudySnapshot

MAX_SHOWN = 5
"""Most trials that the table in a notebook shows."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Results:
    """The results of a study.

    Attributes:
        store: the folder or URL of the store that holds them.
        known: the study's rows at one instant.
        given: the study as its caller has it, with its code; None if only the store is known.
    """

    store: str
    known: StudySnapshot
    given: Study | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}: {summary_of(self)})"

    def _repr_html_(self) -> str:
        """The counts of trials, and the best of them as a table."""
        return html_table(
            f"Results of {self.name}",
            [_cells(row, self.objectives, self.known.definition) for row in self._best_rows()],
            columns=("trial", *(o.metric for o in self.objectives), "epochs", "params"),
            note=counted(self.counts) or "no trial has ended",
        )

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.known.study

    @cached_property
    def study(self) -> Study:
        """The study. Read from a store, its own training function is there by its name alone.

        Raises:
            InvalidValueError: the study needs parts that its own code registers, such as a family of
                networks.
        """
        if self.given is not None:
            return self.given
        from tune_jobs.inputs.named_study import study_of

        return study_of(self.known)

    @property
    def best(self) -> TrialResult:
        """The completed trial with the best value of the first objective; the earlier trial on ties.

        With several objectives `front` holds the others that no trial beats.

        Raises:
            NoBestTrialError: no trial has completed; says what the trials did instead.
        """
        best = self._best_rows(1)
        if not best:
            raise NoBestTrialError(self._why_no_best())
        return self._result(best[0])

    def trial(self, number: int) -> TrialResult:
        """The trial of this number.

        Raises:
            InvalidValueError: no trial of this number has ended.
        """
        if number not in self._ends:
            raise InvalidValueError(
                f"study {self.name!r} has no trial {number} that has ended; results.trials lists those that"
                " have"
            )
        return self._result(self._ends[number])

    @property
    def trials(self) -> pd.DataFrame:
        """A row per ended trial, by number: its state, objectives, params, costs, times and reason.

        Params are in columns ``param_NAME``; a param that does not apply is missing. Instants are in UTC and
        carry no zone. `TrialStore.trials` has all columns of the store, such as versions and commits.
        """
        return self._trials.copy()

    @property
    def reports(self) -> pd.DataFrame:
        """A row per epoch of each trial, by number and epoch: its metrics, and the decision of a rung."""
        from tune_jobs.results.tidy import reports_frame

        return reports_frame(self.known)

    @property
    def front(self) -> pd.DataFrame:
        """The rows of `trials` that no other completed trial beats, the best first objective first.

        With one objective these are the best trial, and those that equal it.
        """
        frame = self._trials
        members = self._front_numbers()
        rows = frame[frame["number"].isin(members)]
        order = {number: place for place, number in enumerate(members)}
        return rows.sort_values("number", key=lambda numbers: numbers.map(order), ignore_index=True)

    @property
    def failures(self) -> pd.DataFrame:
        """The rows of `trials` that failed, with the kind of failure, the reason and the error."""
        return self._trials[self._trials["state"] == State.FAILED].reset_index(drop=True)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives of the study; the first decides which trial is the best."""
        return objectives_of(self.known.definition)

    def to_optuna(self) -> OptunaStudy:
        """The trials as a study of Optuna in memory, for its plots, its importances, or to continue there.

        `tune_jobs.search.optuna_copy` says how Optuna sees each state.

        Raises:
            InvalidValueError: as for `study`.
        """
        from tune_jobs.search.optuna_copy import optuna_copy

        return optuna_copy(self.study, self.known.rows)

    @cached_property
    def seen(self) -> Seen:
        """The rows as figures and pages take them, with the timings of networks that the store has now.

        Raises:
            StoreError: the store cannot be read.
        """
        from tune_jobs.report.figures.seen import Seen, latencies_of
        from tune_jobs.store.reader import TrialStore

        return Seen.of(self.known, latencies_of(TrialStore(self.store).latencies(), self.name))

    def figure(self, name: str) -> Figure:
        """A figure of the study: a notebook shows it, `save` writes it, and `table` is its data.

        Args:
            name: such as ``"history"``, ``"curves"`` or ``"front"``.

        Raises:
            UnknownNameError: there is no such figure; the message lists them.
            InvalidValueError: the study does not give this figure; says why.
        """
        from tune_jobs.report.figures.catalog import figure_of
        from tune_jobs.report.figures.figure import Undrawn

        found = figure_of(self.seen, name)
        if isinstance(found, Undrawn):
            raise InvalidValueError(f"study {self.name!r} gives no figure {name!r}: {found.why}")
        return found

    @cached_property
    def counts(self) -> dict[State, int]:
        """How many trials ended in each state, without states that no trial has."""
        found = Counter(row.state for row in self._ends.values())
        return {state: found[state] for state in State if found[state]}

    @cached_property
    def _trials(self) -> pd.DataFrame:
        from tune_jobs.results.tidy import trials_frame

        return trials_frame(self.known)

    @cached_property
    def _ends(self) -> dict[int, TrialRow]:
        """The row of each trial's end, by number; the first counts."""
        found: dict[int, TrialRow] = {}
        for row in self.known.rows:
            if isinstance(row, TrialRow):
                found.setdefault(row.number, row)
        return dict(sorted(found.items()))

    @cached_property
    def _kept(self) -> Kept:
        is_own = self.known.definition["train"] is not None
        return Kept(store=self.store, study=self.name, rows=self.known.rows, is_own=is_own)

    def _best_rows(self, count: int = MAX_SHOWN) -> list[TrialRow]:
        """The best completed trials by the first objective; on ties the earlier come first."""
        sign = self.objectives[0].direction.sign
        scored = [r for r in self._ends.values() if r.state is State.COMPLETED and r.objective is not None]
        return heapq.nsmallest(count, scored, key=lambda r: (sign * (r.objective or 0.0), r.number))

    def _result(self, row: TrialRow) -> TrialResult:
        names = _names(self.known.definition)
        return result_of(row, self.objectives, names=names, kept=self._kept)

    def _front_numbers(self) -> list[int]:
        """The numbers of the trials that none beats, the best first."""
        from tune_jobs.search.objectives import point_at_end
        from tune_jobs.search.pareto import non_dominated

        points = {
            number: point
            for number, row in self._ends.items()
            if row.state is State.COMPLETED and (point := point_at_end(self.objectives, row)) is not None
        }
        directions = [objective.direction for objective in self.objectives]
        numbers = list(points)
        members = [numbers[index] for index in non_dominated(list(points.values()), directions)]
        return sorted(members, key=lambda number: (directions[0].sign * points[number][0], number))

    def _why_no_best(self) -> str:
        if not self._ends:
            return (
                f"study {self.name!r} has no trial that has ended, so it has no best trial; run it, or wait"
                " until its first trial has completed"
            )
        way_out = "run more trials"
        if State.FAILED in self.counts:
            way_out = "results.failures shows the errors"
        return (
            f"study {self.name!r} has no completed trial with a value, so it has no best trial"
            f" ({counted(self.counts)}); {way_out}"
        )


def counted(counts: dict[State, int]) -> str:
    """``9 completed, 4 stopped and 1 failed``."""
    return listed([f"{count:,} {state}" for state, count in counts.items()])


def result_of(
    row: TrialRow, objectives: Sequence[Objective], *, names: Sequence[str], kept: Kept
) -> TrialResult:
    """A trial that has ended, from its row.

    Args:
        names: of the parameters, in the order of the space.
    """
    return TrialResult(
        number=row.number,
        state=row.state,
        reason=row.reason,
        params=_in_order(params_from_json(row.params), names),
        value=row.objective,
        values=_values(row, objectives),
        epochs=row.epochs,
        kept=kept,
    )


def _names(definition: Mapping[str, Any]) -> list[str]:
    return [parameter["name"] for parameter in definition["space"]]


def _in_order(params: Params, names: Sequence[str]) -> Params:
    """Params in the order of the space, where a row has them by name."""
    return {name: params[name] for name in names if name in params}


def _values(row: TrialRow, objectives: Sequence[Objective]) -> dict[str, float]:
    """The objectives of a trial by name, without those that it lacks."""
    stored: dict[str, Any] = objectives_from_json(row.objectives)
    for objective in objectives:
        if objective.is_cost:
            stored[objective.metric] = getattr(row, objective.metric)
    return {o.metric: stored[o.metric] for o in objectives if stored.get(o.metric) is not None}


def _cells(
    row: TrialRow, objectives: Sequence[Objective], definition: Mapping[str, Any]
) -> tuple[object, ...]:
    """A trial as a row of the table in a notebook."""
    values = _values(row, objectives)
    params = _in_order(params_from_json(row.params), _names(definition))
    return row.number, *(values.get(o.metric) for o in objectives), row.epochs, _in_words(params)


def _in_words(params: Params) -> str:
    """``lr=0.1, head='plain'``; a number has six digits."""
    shown = {k: f"{v:.6g}" if isinstance(v, float) else repr(v) for k, v in params.items()}
    return ", ".join(f"{name}={text}" for name, text in shown.items())


def summary_of(results: Results) -> str:
    """The trials and the best of them, in one line."""
    total = count_of(sum(results.counts.values()), "trial")
    words = f"{total}: {counted(results.counts)}" if results.counts else total
    try:
        best = results.best
    except NoBestTrialError:
        return f"{words}; none is best yet"
    metric = results.objectives[0].metric
    return f"{words}; best {metric} {best.value:.6g} of trial {best.number} ({_in_words(best.params)})"
