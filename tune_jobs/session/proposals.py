"""Proposals of a search, each with the cost of its network and, if a limit refuses it, the reason.

Called by `state_machine`, which records each refused proposal and hands out the first that the limits admit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eml_models.training.recipe import Recipe
from eml_models.wording import first_line
from tune_jobs.errors import CostFunctionError, RunFailedError
from tune_jobs.feasible.limits import refusal
from tune_jobs.feasible.own_cost import OwnCost, TrialCost, costed, recipe_of_trial
from tune_jobs.feasible.refusals import Refusals
from tune_jobs.search.history import History
from tune_jobs.search.queue import QueueFirst
from tune_jobs.study.definition import Study
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.study.rows import as_json_text

MAX_REFUSED_IN_A_ROW = 1000
"""Refused proposals, one after the other, after which the search gives up."""

MAX_UNPRICED_IN_A_ROW = 5
"""Proposals, one after the other, for which the cost function failed: then it fails for all, and the search
ends, so that the function can be mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Params for a trial, and whether the limits admit them.

    Attributes:
        params: the params as JSON.
        history_seq: `seq` of the last row that the sampler saw.
        refusal: why the limits refuse the network; None if they admit it.
    """

    number: int
    params: str
    recipe: Recipe | OwnRecipe
    cost: TrialCost
    history_seq: int
    refusal: str | None


def iter_proposals(study: Study, history: History, sampler: QueueFirst) -> Iterator[Proposal]:
    """One proposal after the other, until the limits admit one or the sampler has no more.

    The caller records each refused proposal before it asks for the next, so that `history` holds it.

    A proposal for which the cost function of own training fails is refused, since no limit can judge it.

    Raises:
        RunFailedError: `MAX_REFUSED_IN_A_ROW` proposals were refused one after the other.
        CostFunctionError: the cost function failed for `MAX_UNPRICED_IN_A_ROW` proposals one after the other.
    """
    refusals, num_unpriced = Refusals(study.limits), 0
    for _ in range(MAX_REFUSED_IN_A_ROW):
        number, known = history.next_number, history.seq
        params = sampler.propose(history, number)
        if params is None:
            return
        recipe = recipe_of_trial(study, params, number)
        cost: TrialCost = OwnCost(values={})
        try:
            recipe, cost = costed(study, recipe)
        except CostFunctionError as error:
            num_unpriced += 1
            if num_unpriced == MAX_UNPRICED_IN_A_ROW:
                raise
            reason: str | None = first_line(error)
        else:
            num_unpriced = 0
            reason = refusal(study, cost)
        yield Proposal(
            number=number,
            params=as_json_text(params),
            recipe=recipe,
            cost=cost,
            history_seq=known,
            refusal=reason,
        )
        if reason is None:
            return
        if not num_unpriced:
            refusals.add(cost)
    raise RunFailedError(f"{refusals.num_refused:,} proposals in a row were refused: {refusals.describe()}")
