"""Studies with several objectives: MO-ASHA, what Optuna is told, resuming, auditing, the tables."""

from __future__ import annotations

import json
import math

import pytest
from optuna.samplers import TPESampler
from optuna.trial import TrialState
from session_testing import WORKER, Clock, MemoryLog, Metrics, a_study, play, play_attempt, table

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.training.recipe import Recipe
from tune_jobs.analysis.audit import audit
from tune_jobs.checkpoints.retention import best_numbers
from tune_jobs.errors import RunFailedError
from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.macs_share import resolve_recipe, with_spread_share
from tune_jobs.inputs.shipped import digits_families, digits_front, digits_mobilenet
from tune_jobs.inputs.warm_start import choose_told
from tune_jobs.search.given import ToldTrial
from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.search.pareto import front_numbers, non_dominated, standings
from tune_jobs.search.sampler import Tpe
from tune_jobs.search.shown import shown_trials
from tune_jobs.session.attempt import Attempt, SessionSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionEnd, SessionStarted
from tune_jobs.study.method import Asha, LatencyMode, Limits
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import Decision, State
from tune_jobs.study.space import Choice, Float, Integer, Space
from tune_jobs.study.stored import study_from_definition

DIRECTIONS = tuple(objective.direction for objective in digits_front().objectives)


def two_objectives(**changes: object) -> Study:
    """Accuracy, of which wide networks have more, against MACs."""
    space = Space(Integer("width", 1, 32), Float("learning_rate", 1e-3, 1.0, log=True))
    study = a_study(
        space=space,
        recipe=Recipe(learning_rate=0.1, epochs=9, dataset="digits"),
        objectives=(Objective(), Objective(metric="macs")),
        trials=24,
    )
    return study.with_changes(**changes)


def wide_is_better(attempt: Attempt, epoch: int) -> Metrics:
    width = attempt.recipe.model_options["width"]
    off = abs(math.log10(attempt.recipe.learning_rate) + 1)
    accuracy = (1 - 1 / (1 + width)) * (1 - 0.2 * off) * epoch / (epoch + 1)
    return {"epoch": epoch, "val_accuracy": accuracy, "epoch_s": 1.0, "elapsed_s": float(epoch)}


def played(study: Study) -> tuple[MemoryLog, Session]:
    log = MemoryLog()
    session = Session(study, log, settings=SessionSettings(started=SessionStarted(workers=1)), clock=Clock())
    play(session, wide_is_better)
    session.close(SessionEnd.FINISHED)
    return log, session


def test_rungs_keep_the_first_of_the_standings() -> None:
    study = two_objectives()
    log, session = played(study)
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


def test_the_front_is_of_completed_trials_and_every_row_has_all_values() -> None:
    log, session = played(two_objectives())
    completed = [row for row in log.trials if row.state is State.COMPLETED]
    values = [(json.loads(r.objectives)["val_accuracy"], json.loads(r.objectives)["macs"]) for r in completed]
    assert [v[1] for v in values] == [row.macs for row in completed]
    expected = {completed[index].number for index in non_dominated(values, DIRECTIONS)}
    assert {record.number for record in session.history.front} == expected
    assert session.progress().front == len(expected)
    assert set(best_numbers(session.history, 3)) <= expected
    assert best_numbers(session.history, 1) == [max(completed, key=lambda r: r.objective or 0).number]


def test_optuna_is_told_the_truth_about_stopped_trials() -> None:
    study = two_objectives()
    log, session = played(study)
    view = as_optuna_study(study, session.history)
    told = {trial.number: trial for trial in view.get_trials(deepcopy=False)}
    states = {row.number: row.state for row in log.trials}
    assert {n for n, t in told.items() if t.state is TrialState.COMPLETE} == {
        n for n, state in states.items() if state is State.COMPLETED
    }
    assert {trial.number for trial in view.best_trials} == {r.number for r in session.history.front}
    places = {}
    for number, trial in told.items():
        if states[number] is State.STOPPED:
            assert trial.state is TrialState.PRUNED
            ((step, value),) = trial.intermediate_values.items()
            assert math.isnan(value)
            places[number] = step
    assert sorted(places.values()) == list(range(1, len(places) + 1))
    ends = {row.number: row for row in log.trials}
    for epoch in (1, 3):
        at = [ends[number] for number in places if ends[number].epochs == epoch]
        points = [(row.objective or 0.0, float(row.macs or 0)) for row in at]
        ranks = standings(points, study.objectives)
        by_rank = [
            row.number for _, row in sorted(zip(ranks, at, strict=True), key=lambda p: (p[0], p[1].number))
        ]
        assert sorted(by_rank, key=lambda number: -places[number]) == by_rank
    later = [places[number] for number in places if ends[number].epochs == 3]
    assert not later or min(later) > max(places[n] for n in places if ends[n].epochs == 1)


def test_tpe_takes_stopped_trials_for_good_in_the_order_told() -> None:
    """By Optuna's own split of the view: the completed front first, then the stopped ones placed last."""
    from optuna.samplers._tpe.sampler import _split_trials

    study = two_objectives()
    _, session = played(study)
    trials = as_optuna_study(study, session.history).get_trials(deepcopy=False)
    completed = [t for t in trials if t.state is TrialState.COMPLETE]
    view = as_optuna_study(study, session.history, TPESampler())
    below, above = _split_trials(view, trials, len(completed) + 2)
    stopped_below = [t for t in below if t.state is TrialState.PRUNED]
    stopped_above = [t for t in above if t.state is TrialState.PRUNED]
    assert len(stopped_below) == 2
    assert min(t.last_step or 0 for t in stopped_below) > max(t.last_step or 0 for t in stopped_above)


@pytest.mark.parametrize("cut", [5, 17, 40])
def test_cut_anywhere_it_ends_with_the_same_table_and_passes_its_audit(cut: int) -> None:
    whole, _ = played(two_objectives())
    log = MemoryLog(whole.rows[:cut])
    again = Session(two_objectives(), log, log.rows[:], clock=Clock())
    play(again, wide_is_better)
    assert table(log) == table(whole)
    assert audit(two_objectives(), log.rows).differences == ()


def test_definition_leads_back_to_the_study() -> None:
    for study in (digits_front(), digits_families()):
        again = study_from_definition(study.name, json.loads(json.dumps(study.definition())))
        assert again.fingerprint() == study.fingerprint()


def test_warm_start_from_a_search_without_costs() -> None:
    """Its rows hold MACs, so that its trials are points of both objectives."""
    single = two_objectives(asha=None).with_changes(objectives=(Objective(),), name="single")
    log, _ = played(single)
    study = two_objectives()
    told, left_out = choose_told(study, log.rows)
    assert (len(told), left_out) == (24, {})
    second = MemoryLog()
    session = Session(study, second, settings=SessionSettings(origin="single", told=told), clock=Clock())
    view = as_optuna_study(study, session.history)
    assert all(trial.values and trial.values[1] == told[i].end.macs for i, trial in enumerate(view.trials))
    assert isinstance(told[0], ToldTrial)
    play_attempt(session, session.next_attempt(), wide_is_better)  # type: ignore[arg-type]  # there is one


def test_a_long_history_shows_the_front() -> None:
    study = two_objectives().with_changes(trials=120)
    _, session = played(study)
    shown = {record.number for record in shown_trials(session.history, most=60)}
    assert len(shown) == 60
    assert {record.number for record in session.history.front} <= shown
    assert Tpe(study, most=60).propose(session.history, 500)["width"]


def test_a_missing_objective_fails_the_trial() -> None:
    study = two_objectives().with_changes(objectives=(Objective(), Objective(metric="val_loss")))
    session = Session(study, MemoryLog(), clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_report(attempt.number, wide_is_better(attempt, 1), WORKER)
    record = session.history.trials[attempt.number]
    assert record.state is State.FAILED
    assert "the report lacks val_loss" in (record.reason or "")


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (("macs", "val_accuracy"), "the first objective must be a result of training"),
        (("val_accuracy", "val_accuracy"), "objectives must differ, got val_accuracy, val_accuracy"),
        ((), "at least one objective, got none"),
    ],
)
def test_wrong_objectives(metrics: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        two_objectives().with_changes(objectives=tuple(Objective(metric=m) for m in metrics))


def test_unknown_objective_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="parameters"):
        Objective(metric="params")


def test_a_front_searches_small_shares_too() -> None:
    study = digits_mobilenet()
    assert with_spread_share(study) == study
    spread = with_spread_share(study.with_changes(objectives=digits_front().objectives))
    share = spread.space["macs_share"]
    assert isinstance(share, Float)
    assert (share.low, share.high, share.log) == (0.05, 1.0, True)
    assert with_spread_share(spread) == spread


def test_a_search_across_families_has_each_ones_own_parameters() -> None:
    study = digits_families()
    history, sampler = History(study), Tpe(study)
    models = set()
    for number in range(12):
        params = sampler.propose(history, number)
        recipe = resolve_recipe(study, params, number)
        models.add(recipe.model)
        cost = count_cost(recipe)
        if recipe.model == "resnet18":
            assert set(params) == {"model", "macs_share", "learning_rate", "weight_decay"}
            wider = recipe.with_changes(model_options={"width": recipe.model_options["width"] + 1})
            assert cost.macs <= 1_000_000 * float(params["macs_share"]) < count_cost(wider).macs  # type: ignore[arg-type]  # a share is a number
        else:
            assert params["divisor"] == 4
    assert models == {"mobilenet", "resnet18"}


def test_a_share_of_a_family_without_a_width_is_refused() -> None:
    from eml_models import ModelFamily, PlanBuilder, register_model
    from eml_models.networks.registry import unregister_model

    def fixed(net: PlanBuilder) -> None:
        net.conv_bn_act("only", 8)
        net.classifier()

    register_model(ModelFamily(name="fixed", draw=fixed))
    try:
        study = digits_mobilenet().with_changes(
            space=Space(Float("macs_share", 0.5, 1.0), Choice("optimizer", ("sgd",))),
            recipe=Recipe(model="fixed", dataset="digits", learning_rate=0.1, epochs=3),
            asha=Asha(),
        )
        with pytest.raises(InvalidValueError, match="'fixed' names no option"):
            resolve_recipe(study, {"macs_share": 0.7, "optimizer": "sgd"}, 0)
    finally:
        unregister_model("fixed")


def next_attempt(session: Session) -> Attempt:
    attempt = session.next_attempt()
    assert attempt is not None
    return attempt


def measured(session: Session, attempt: Attempt, latency_ms: float) -> Decision:
    decision = session.record_latency(attempt.number, latency_ms, WORKER)
    if decision is Decision.CONTINUE:
        play_attempt(session, attempt, wide_is_better)
    return decision


def test_latency_is_an_objective_and_a_limit() -> None:
    """Networks above it are not trained, count as refused, and teach the sampler by how much."""
    study = two_objectives(
        objectives=(Objective(), Objective(metric="latency_ms")),
        latency=LatencyMode(),
        limits=Limits(max_latency_ms=2.0),
    ).with_changes(trials=8)
    log = MemoryLog()
    session = Session(study, log, clock=Clock())
    while (attempt := session.next_attempt()) is not None:
        measured(session, attempt, float(attempt.recipe.model_options["width"]) / 10)
    refused = [row for row in log.trials if row.state is State.INFEASIBLE]
    trained = [row for row in log.trials if row.state is not State.INFEASIBLE]
    assert len(trained) == 8
    assert refused
    assert {row.number for row in refused} & {row.number for row in log.reports} == set()
    assert all((row.latency_ms or 0) > 2.0 and "above the limit of 2 ms" in row.reason for row in refused)
    assert all(row.train_s == 0 and row.epochs == 0 for row in refused)
    assert all(0 < (row.latency_ms or 0) <= 2.0 for row in trained)
    assert all(row.latency_ms is not None for row in log.reports)
    assert all("latency_ms" in json.loads(row.objectives) for row in trained)
    assert audit(study, log.rows).differences == ()
    view = as_optuna_study(study, session.history)
    told = {trial.number: trial.constraints for trial in view.trials}
    assert all(told[row.number]["max_latency_ms"] > 0 for row in refused)
    again = study_from_definition(study.name, json.loads(json.dumps(study.definition())))
    assert again.fingerprint() == study.fingerprint()


def test_a_latency_that_nothing_meets_ends_the_search() -> None:
    study = two_objectives(latency=LatencyMode(), limits=Limits(max_latency_ms=0.001))
    session = Session(study, MemoryLog(), clock=Clock())
    for _ in range(49):
        assert measured(session, next_attempt(session), 1.0) is Decision.STOP
    with pytest.raises(RunFailedError, match="50 networks in a row were too slow"):
        measured(session, next_attempt(session), 1.0)


def test_latency_needs_a_mode() -> None:
    with pytest.raises(InvalidValueError, match="give --measure-latency"):
        two_objectives(limits=Limits(max_latency_ms=2.0))
    with pytest.raises(InvalidValueError, match="unknown part 'fp12'"):
        LatencyMode(mode="fp12")
