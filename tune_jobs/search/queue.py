"""Proposes enqueued points before those of the sampler, as a pure function of the history.

`tune_jobs.session` asks it for each proposal, and `tune_jobs.analysis.audit` asks again.
"""

from __future__ import annotations

from collections.abc import Callable

from eml_models import seeds
from tune_jobs.search.history import History
from tune_jobs.search.sampler import Sampler, build_sampler
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName
from tune_jobs.study.parameters import Params


class QueueFirst:
    """A sampler behind a queue of points.

    The sampler counts its own proposals, so that a grid leaves out no point because another was enqueued.
    Parameters that a point leaves out are drawn with separate seeds: with those of the sampler, the sampler's
    proposal of the same number would get the same values.

    Args:
        build: makes the sampler of a study. For the parameters that a point leaves out, it makes a sampler
            over the rest of the space (a random sampler if the study's own is a grid).
    """

    def __init__(self, study: Study, build: Callable[[Study], Sampler] = build_sampler) -> None:
        self._study, self._build = study, build
        self._sampler = build(study)

    def propose(self, history: History, number: int) -> Params | None:
        """Valid params for trial `number`, or None if the queue is empty and the space exhausted."""
        if not history.enqueued:
            return self._sampler.propose(history, number - history.num_dequeued)
        point = history.enqueued[0]
        space = self._study.space.fixed(point.params)
        sampler = self._study.sampler
        rest = self._study.with_changes(
            space=space,
            sampler=SamplerName.RANDOM if sampler is SamplerName.GRID else sampler,
            seed=seeds.derive(self._study.seed, -1, "queue"),
        )
        return self._build(rest).propose(history, number)

    def end_reason(self, number: int) -> str | None:
        """Why there is no proposal for trial `number`; None if there is one."""
        return self._sampler.end_reason(number)

    def end_reason_after(self, history: History) -> str | None:
        """Why neither the queue nor the sampler has a proposal after this history; None if there is one."""
        return None if history.enqueued else self.end_reason(history.next_number - history.num_dequeued)
