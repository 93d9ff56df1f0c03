"""The rule at a rung: by hand, against a second implementation, and on made-up learning curves."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_testing import history_of, make_study, report, simulate, start
from two_objectives import played_front, two_objectives

from eml_models.errors import InvalidValueError
from tune_jobs.inputs.shipped import digits_front
from tune_jobs.search.asha import Verdict, decide, rank
from tune_jobs.search.history import History
from tune_jobs.search.pareto import front_numbers, standings
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha
from tune_jobs.study.objective import Direction, Maximize, Minimize, Objective
from tune_jobs.study.parameters import Float, Params
from tune_jobs.study.rows import Decision, ReportRow, Row, State
from tune_jobs.study.space import Space
from tune_jobs.testing.in_process import run_in_process

STUDY = make_study(epochs=10, asha=Asha(min_epochs=4, reduction_factor=3))


def reported(*values: float | None, epoch: int = 4) -> list[Row]:
    """Trials 0, 1, ... that reported these values at a rung, and whose rung decided."""
    rows: list[Row] = []
    for number, value in enumerate(values):
        rows += [
            start(number),
            report(number, epoch, value, decision=Decision.CONTINUE, decision_reason="as recorded"),
        ]
    return rows


def verdict(study: Study, rows: list[Row], epoch: int, value: float | None) -> Verdict | None:
    """Of a new trial that reports `value`."""
    number = 1000
    return decide(
        study, history_of(study, *rows, start(number)), number, epoch, {study.objective.metric: value}
    )


def test_no_rung_no_verdict() -> None:
    assert verdict(STUDY, [], 3, 0.5) is None
    earlier = history_of(STUDY, start(0), report(0, 4, 0.5))
    assert decide(STUDY, earlier, 0, 5, {"val_accuracy": 0.5}) is None
    assert decide(STUDY, earlier, 0, 10, {"val_accuracy": 0.5}) is None
    without = make_study(epochs=10, asha=None)
    assert decide(without, history_of(without, start(0)), 0, 4, {"val_accuracy": 0.5}) is None


def test_an_earlier_report_of_own_training_is_judged_by_its_own_metric() -> None:
    study = Study(
        name="own",
        space=Space(Float("lr", 0.1, 1)),
        train=lambda params, run: None,
        objectives=(Objective("iou", Direction.MAXIMIZE),),
        epochs=9,
        asha=Asha(min_epochs=4),
    )
    first = [start(0), replace(report(0, 4, None), metrics='{"iou":0.25}')]
    history = history_of(study, *(replace(row, study="own", trial_id="own/0") for row in first))
    assert decide(study, history, 0, 4, {"iou": 0.75}) == Verdict(
        Decision.CONTINUE, "rung 4: iou 0.25 is 1st of 1; only the best continues (>= 0.25)"
    )


def test_the_first_at_a_rung_continues() -> None:
    assert verdict(STUDY, [], 4, 0.1) == Verdict(
        Decision.CONTINUE, "rung 4: val_accuracy 0.1 is 1st of 1; only the best continues (>= 0.1)"
    )


def test_reasons_say_rank_count_and_cutoff() -> None:
    values = [0.99, 0.95, 0.93, 0.9012, 0.88, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert verdict(STUDY, reported(*values), 4, 0.8123) == Verdict(
        Decision.STOP, "rung 4: val_accuracy 0.8123 is 7th of 12; the best 4 continue (>= 0.9012)"
    )
    assert verdict(STUDY, reported(*values), 4, 0.97) == Verdict(
        Decision.CONTINUE, "rung 4: val_accuracy 0.97 is 2nd of 12; the best 4 continue (>= 0.93)"
    )


def test_a_lower_loss_is_better_when_minimizing() -> None:
    study = STUDY.with_changes(objectives=(Objective(metric="val_loss"),))
    rows: list[Row] = [start(0), report(0, 4, 0.9, val_loss=2.0), start(1), report(1, 4, 0.1, val_loss=1.0)]
    assert verdict(study, rows, 4, 0.5) == Verdict(
        Decision.CONTINUE, "rung 4: val_loss 0.5 is 1st of 3; only the best continues (<= 0.5)"
    )
    assert verdict(study, rows, 4, 1.5) == Verdict(
        Decision.STOP, "rung 4: val_loss 1.5 is 2nd of 3; only the best continues (<= 1)"
    )


def test_equal_values_continue_together() -> None:
    assert verdict(STUDY, reported(0.5, 0.5, 0.5, 0.5, 0.5), 4, 0.5) == Verdict(
        Decision.CONTINUE, "rung 4: val_accuracy 0.5 is 1st of 6; the best 2 continue (>= 0.5)"
    )
    stopped = verdict(STUDY, reported(0.5, 0.6, 0.6, 0.5, 0.5), 4, 0.5)
    assert stopped is not None
    assert stopped.decision is Decision.STOP


def test_a_rung_that_has_decided_decides_the_same_again() -> None:
    rows = [*reported(0.1), *(r for n in (1, 2, 3) for r in (start(n), report(n, 4, 0.9)))]
    history = history_of(STUDY, *rows, start(0, attempt=2))
    assert decide(STUDY, history, 0, 4, {"val_accuracy": 0.1}) == Verdict(Decision.CONTINUE, "as recorded")
    assert decide(STUDY, history, 0, 4, {"val_accuracy": 0.05}) == Verdict(Decision.CONTINUE, "as recorded")


def test_a_value_that_was_reported_without_a_decision_counts_as_first_reported() -> None:
    rows = [r for n, value in enumerate((0.1, 0.5, 0.5)) for r in (start(n), report(n, 4, value))]
    again = decide(STUDY, history_of(STUDY, *rows), 0, 4, {"val_accuracy": 0.9})
    assert again is not None
    assert again.reason == "rung 4: val_accuracy 0.1 is 3rd of 3; only the best continues (>= 0.5)"


@pytest.mark.parametrize(
    ("value", "got"),
    [(None, "is missing"), (math.nan, "is nan"), (math.inf, "is inf"), (-math.inf, "is -inf")],
)
def test_a_missing_value_stops_the_trial_and_says_so(value: float | None, got: str) -> None:
    assert verdict(STUDY, [], 4, value) == Verdict(
        Decision.STOP, f"rung 4: val_accuracy {got}; only a finite value lets a trial continue"
    )


def test_missing_values_of_others_do_not_count() -> None:
    stands = verdict(STUDY, reported(None, 0.5), 4, 0.4)
    assert stands is not None
    assert "2nd of 2" in stands.reason


def test_a_rung_that_was_jumped_over_decides_at_the_next_report() -> None:
    late = verdict(STUDY, reported(0.9, 0.8), 6, 0.5)
    assert late == Verdict(
        Decision.STOP,
        "rung 4, reached with epoch 6: val_accuracy 0.5 is 3rd of 3; only the best continues (>= 0.9)",
    )


def test_a_verdict_needs_a_reason() -> None:
    with pytest.raises(InvalidValueError, match="a decision must have a reason"):
        Verdict(Decision.STOP, "")


@pytest.mark.parametrize(
    ("number", "word"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st")],
)
def test_ranks_read_as_words(number: int, word: str) -> None:
    said = verdict(STUDY, reported(*[1.0] * (number - 1)), 4, 0.5)
    assert said is not None
    assert f"is {word} of {number};" in said.reason


@given(
    others=st.lists(st.integers(0, 9), max_size=30),
    value=st.integers(0, 9),
    factor=st.integers(2, 5),
    direction=st.sampled_from(Direction),
)
def test_rank_agrees_with_the_definition(
    others: list[int], value: int, factor: int, direction: Direction
) -> None:
    """Among the best max(1, n // factor) of n, a tie with the last of them included."""
    values = [*others, value]
    best_first = sorted(values, reverse=direction is Direction.MAXIMIZE)
    kept = best_first[: max(1, len(values) // factor)]
    standing = rank(value, values, direction=direction, reduction_factor=factor)
    assert standing.continues == (value in kept)
    assert standing.cutoff == kept[-1]
    assert standing.rank == best_first.index(value) + 1
    assert (standing.count, standing.num_kept) == (len(values), len(kept))


def curve(params: Params, number: int, epoch: int) -> float:
    """Saturating accuracies that cross early on; `quality` is what they tend to."""
    quality = params["quality"]
    assert isinstance(quality, float)
    rng = random.Random(number)
    speed, noise = rng.uniform(0.6, 1.5), rng.gauss(0, 0.02)
    return quality * (1 - math.exp(-speed * epoch)) + noise / epoch


def run(study: Study, workers: int = 4) -> tuple[History, list[Row]]:
    log = simulate(
        study, curve, workers=workers, seconds=lambda params, number: random.Random(-number).uniform(0.5, 2)
    )
    return log.history, log.rows


def brute_force(study: Study, rows: list[Row], upto: ReportRow) -> Decision | None:
    """ASHA once more, from the plain rows and without any of the code under test."""
    assert study.asha is not None
    rungs = [study.asha.min_epochs * study.asha.reduction_factor**k for k in range(20)]
    if upto.epoch not in rungs or upto.epoch >= study.recipe.epochs:
        return None
    values = [
        row.val_accuracy or 0.0
        for row in rows
        if isinstance(row, ReportRow) and row.epoch == upto.epoch and row.seq <= upto.seq
    ]
    better = sum(value > (upto.val_accuracy or 0.0) for value in values)
    return Decision.CONTINUE if better < max(1, len(values) // study.asha.reduction_factor) else Decision.STOP


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 1000), workers=st.integers(1, 5), factor=st.integers(2, 4), first=st.integers(1, 3)
)
def test_every_decision_of_a_run_agrees_with_brute_force(
    seed: int, workers: int, factor: int, first: int
) -> None:
    study = make_study(
        Float("quality", 0.1, 0.95),
        epochs=12,
        trials=20,
        seed=seed,
        sampler="random",
        asha=Asha(min_epochs=first, reduction_factor=factor),
    )
    history, rows = run(study, workers)
    reports = [row for row in rows if isinstance(row, ReportRow)]
    assert reports
    for row in reports:
        assert row.decision == brute_force(study, rows, row)
    for record in history.trials.values():
        stopped = [r.decision is Decision.STOP for r in record.reports]
        assert any(stopped[:-1]) is False
        assert (record.state is State.STOPPED) == stopped[-1]


def test_decisions_can_be_audited_from_the_rows() -> None:
    study = make_study(Float("quality", 0.1, 0.95), epochs=10, trials=20, sampler="random")
    _, rows = run(study)
    for row in rows:
        if isinstance(row, ReportRow):
            known = History.at(study, rows, row.seq - 1)
            again = decide(study, known, row.number, row.epoch, {"val_accuracy": row.val_accuracy})
            assert (
                (again.decision, again.reason) == (row.decision, row.decision_reason)
                if again
                else (row.decision is None)
            )


def test_asha_finds_a_near_best_trial_in_a_fraction_of_the_epochs() -> None:
    study = make_study(Float("quality", 0.1, 0.95), epochs=27, trials=81, sampler="random")
    history, rows = run(study)
    epochs = sum(isinstance(row, ReportRow) for row in rows)
    assert epochs < 81 * 27 / 5
    best = history.best
    assert best is not None
    finals = sorted((curve(r.params, r.number, 27) for r in history.trials.values()), reverse=True)
    assert best.objective is not None
    assert finals.index(best.objective) < 3
    assert history.counts[State.STOPPED] > 60


DIRECTIONS = tuple(objective.direction for objective in digits_front().objectives)


def test_a_cost_as_the_first_objective_stands_behind_the_metrics() -> None:
    """Both orders of the objectives decide alike; the cheapest trial does not lead by its cost alone."""

    def train(params: Params, run: object) -> Iterator[dict[str, object]]:
        for epoch in range(1, 10):
            yield {"iou": params["quality"], "epoch": epoch}

    def decisions(objectives: tuple[Objective, ...]) -> list[tuple[int, int, Decision | None]]:
        study = Study(
            name="own",
            space=Space(Float("quality", 0, 1)),
            train=train,
            objectives=objectives,
            epochs=9,
            trials=12,
            asha=Asha(min_epochs=1),
            cost=lambda params: {"gb": params["quality"] ** 2},
            sampler="random",
        )
        rows = run_in_process(study).reports
        return [(row.number, row.epoch, row.decision) for row in rows]

    metric, cost = Maximize("iou"), Minimize("gb")
    found = decisions((cost, metric))
    assert found == decisions((metric, cost))
    assert {decision for _, _, decision in found} == {Decision.CONTINUE, Decision.STOP, None}


def test_rungs_keep_the_first_of_the_standings() -> None:
    study = two_objectives()
    log, session = played_front(study)
    seen: dict[int, list[tuple[float, float]]] = {1: [], 3: []}
    macs = {row.number: float(row.macs or 0) for row in log.trials}
    for row in log.reports:
        if row.decision is None:
            continue
        assert row.val_accuracy is not None
        seen[row.epoch].append((row.val_accuracy, macs[row.number]))
        place = standings(seen[row.epoch], study.objectives)[-1]
        front = front_numbers(seen[row.epoch], DIRECTIONS)[-1]
        goes_on = place <= max(1, len(seen[row.epoch]) // 3)
        assert row.decision is (Decision.CONTINUE if goes_on else Decision.STOP)
        assert f"of {len(seen[row.epoch])}, on front {front}; " in (row.decision_reason or "")
    assert len(seen[1]) == 24
    assert session.history.counts[State.STOPPED] > session.history.counts[State.COMPLETED] > 1
