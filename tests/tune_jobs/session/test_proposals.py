"""Proposals: those that the limits refuse are rows, and the search gives up after many of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from session_testing import (
    Clock,
    MemoryLog,
    a_study,
    play,
    session_of,
)

from tune_jobs.errors import RunFailedError
from tune_jobs.search.history import History
from tune_jobs.search.queue import QueueFirst
from tune_jobs.session.attempt import Provenance
from tune_jobs.session.proposals import Proposal, iter_proposals
from tune_jobs.session.row_builder import RowBuilder
from tune_jobs.study.method import Limits, SamplerName
from tune_jobs.study.parameters import Choice, Float, Integer
from tune_jobs.study.rows import State
from tune_jobs.study.space import Space
from tune_jobs.testing.rows import history_of, start_row


def mobilenets(**limits: int) -> dict[str, object]:
    study = a_study()
    recipe = study.recipe.with_changes(model="mobilenet", dataset="cifar10")
    space = Space(Float("width_mult", 0.25, 2.0), Integer("expansion", 1, 8))
    return {"recipe": recipe, "space": space, "limits": Limits(**limits)}


def test_proposal_beyond_a_limit_is_a_row_and_never_an_attempt() -> None:
    log = MemoryLog()
    session = session_of(log, **mobilenets(max_macs=60_000_000))
    play(session, lambda attempt, epoch: {"epoch": epoch, "val_accuracy": 0.5})
    refused = [row for row in log.trials if row.state is State.INFEASIBLE]
    trained = [row for row in log.trials if row.state is not State.INFEASIBLE]
    assert refused
    assert len(trained) == 16
    assert {row.number for row in refused}.isdisjoint(row.number for row in log.starts)
    assert all((row.macs or 0) > 60_000_000 and row.device_s == 0 and row.attempt == 0 for row in refused)
    assert all((row.macs or 0) <= 60_000_000 for row in trained)
    assert "above the limit of 60,000,000" in refused[0].reason


def test_limit_that_nothing_meets_ends_the_search() -> None:
    session = session_of(MemoryLog(), **mobilenets(max_macs=1))
    message = (
        r"1,000 proposals in a row were refused: 1,000 by max_macs 1; the nearest miss .* raise --max-macs"
    )
    with pytest.raises(RunFailedError, match=message):
        session.next_attempt()


def test_proposals_end_with_the_first_that_the_limits_admit() -> None:
    study = a_study(**mobilenets(max_macs=60_000_000))
    history, rows = History(study), RowBuilder(study, Provenance(), Clock())
    seen: list[Proposal] = []
    for proposal in iter_proposals(study, history, QueueFirst(study)):
        seen.append(proposal)
        if proposal.refusal is not None:
            row = rows.refused(
                proposal.number, proposal.params, seed=1, cost=proposal.cost, reason=proposal.refusal,
                history_seq=proposal.history_seq,
            )  # fmt: skip
            history.apply(replace(row, seq=history.seq + 1))
    assert len(seen) > 1
    assert [proposal.refusal is None for proposal in seen] == [False] * (len(seen) - 1) + [True]
    assert [proposal.number for proposal in seen] == list(range(len(seen)))
    assert [proposal.history_seq for proposal in seen] == list(range(len(seen)))  # each knows the refused


def test_a_grid_without_points_left_gives_no_proposal() -> None:
    study = a_study(space=Space(Choice("optimizer", ("sgd",))), sampler=SamplerName.GRID)
    history = history_of(study, start_row(0, {"optimizer": "sgd"}, study=study.name))
    assert list(iter_proposals(study, history, QueueFirst(study))) == []
