"""Finalists: who is chosen, what study they become, and a whole run of one in this process, tested once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from session_testing import WORKER, Clock, MemoryLog, a_study, play
from trained_studies import train_into

from eml_models import evaluate_test, fit
from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs import TrialStore
from tune_jobs.analysis.audit import audit
from tune_jobs.analysis.replay import begin_replay, iter_replay, stored_trial
from tune_jobs.inputs.finalists import FinalOptions, best, final_study, front, list_tried, parse_baseline
from tune_jobs.report.finalists import candidates_table, recipes_table
from tune_jobs.search.pareto import non_dominated
from tune_jobs.session.attempt import Attempt
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Candidate, Study
from tune_jobs.study.fits import fit_and_test
from tune_jobs.study.method import Asha, SamplerName
from tune_jobs.study.objective import Direction, Objective
from tune_jobs.study.parameters import Choice, Float, Integer
from tune_jobs.study.rows import Decision, Row, State, TrialRow
from tune_jobs.study.space import Space
from tune_jobs.study.stored import study_from_definition

MAX, MIN = Direction.MAXIMIZE, Direction.MINIMIZE
SMALL = Recipe(learning_rate=0.05, epochs=1, max_train_samples=64, batch_size=32)


def searched(**changes: object) -> tuple[Study, list[Row]]:
    """A finished search of small networks whose objective is near 1 for rates near 0.1."""
    space = Space(Float("learning_rate", 1e-4, 1.0, log=True), Integer("width", 2, 9))
    study = a_study(recipe=SMALL.with_changes(epochs=9), space=space, **changes)
    log = MemoryLog()
    play(Session(study, log, clock=Clock()))
    return study, log.rows


def test_the_best_completed_trials_become_candidates_that_train_longer_on_all_images() -> None:
    study, rows = searched()
    final, notes = final_study(study, rows, FinalOptions(top=2, repeats=4))
    ended = [r for r in rows if isinstance(r, TrialRow) and r.state is State.COMPLETED]
    ranked = sorted(ended, key=lambda r: (-(r.objective or 0), r.number))
    names = [f"trial-{ranked[0].number}", f"trial-{ranked[1].number}", "resnet18"]
    assert [c.name for c in final.candidates] == names
    assert (final.name, final.trials, final.recipe.epochs) == ("played-final", 12, 27)
    assert final.recipe.train_on == "train_and_validation"
    assert (final.sampler, final.asha, final.objective.metric) == ("grid", None, "test_accuracy")
    assert "27 epochs" in notes[0]
    recipe = final.recipe_for({"repeat": 1, "candidate": names[0]}, 0)
    params = json.loads(ranked[0].params)
    assert recipe.learning_rate == params["learning_rate"]
    assert recipe.model_options == {"width": params["width"]}
    assert (recipe.epochs, recipe.max_train_samples) == (27, 64)


def test_every_candidate_has_a_first_seed_before_any_has_a_second_and_no_seed_twice() -> None:
    study, rows = searched()
    final, _ = final_study(study, rows, FinalOptions(top=1, repeats=3))
    points = list(final.space.iter_grid())
    assert [p["repeat"] for p in points] == [1, 1, 2, 2, 3, 3]
    seeds = [final.recipe_for(point, number).seed for number, point in enumerate(points)]
    of_the_search = [study.recipe_for({"learning_rate": 0.1, "width": 4}, n).seed for n in range(16)]
    assert len({*seeds, *of_the_search}) == 6 + 16


def test_repeats_of_a_recipe_are_one_finalist_by_their_mean() -> None:
    """Cell 1 has the best single trial, cell 2 the best mean."""
    space = Space(Integer("repeat", 1, 2), Choice("learning_rate", (0.01, 0.02)))
    study = a_study(space=space, sampler=SamplerName.GRID, asha=None, trials=4, recipe=SMALL)
    values = {0: 0.9, 1: 0.8, 2: 0.5, 3: 0.85}
    log = MemoryLog()
    play(
        Session(study, log, clock=Clock()),
        lambda attempt, epoch: {"epoch": epoch, "val_accuracy": values[attempt.number]},
    )
    ranked = best(list_tried(log.rows), study.objective)
    assert [(t.number, t.objective) for t in ranked] == [(1, pytest.approx(0.825)), (0, pytest.approx(0.7))]


def test_recipes_that_differ_in_what_finalists_have_in_common_are_one_finalist() -> None:
    """Each rate is tried with 3 and with 6 epochs; what it is worth is what it was after 6."""
    space = Space(Choice("learning_rate", (0.01, 0.02)), Choice("epochs", (3, 6)))
    study = a_study(space=space, sampler=SamplerName.GRID, asha=None, trials=4, recipe=SMALL)
    values = {(0.01, 3): 0.9, (0.01, 6): 0.5, (0.02, 3): 0.1, (0.02, 6): 0.6}
    numbers: dict[tuple[float, int], int] = {}
    log = MemoryLog()

    def curve(attempt: Attempt, epoch: int) -> dict[str, object]:
        tried = (attempt.recipe.learning_rate, attempt.recipe.epochs)
        numbers[tried] = attempt.number
        return {"epoch": epoch, "val_accuracy": values[tried]}

    play(Session(study, log, clock=Clock()), curve)
    ranked = best(list_tried(log.rows), study.objective)
    assert [(t.number, t.objective, t.recipe.epochs) for t in ranked] == [
        (numbers[0.02, 6], 0.6, 6),
        (numbers[0.01, 6], 0.5, 6),
    ]
    final, notes = final_study(study, log.rows, FinalOptions(top=3))
    rates = [candidate.changes["learning_rate"] for candidate in final.candidates if not candidate.baseline]
    assert rates == [0.02, 0.01]
    assert "--top 3 takes 2 recipes: no more ran to their end" in notes


def test_front_has_every_trial_that_no_other_is_better_than() -> None:
    study, rows = searched(asha=None)
    tried = list_tried(rows)
    found = front(tried, [("val_accuracy", MAX), ("macs", MIN)])
    points = [(t.objective, t.values["macs"]) for t in tried]
    expected = [
        index
        for index, (value, macs) in enumerate(points)
        if not any(v >= value and m <= macs and (v, m) != (value, macs) for v, m in points)
    ]
    assert found == expected
    assert 1 < len(found) < len(tried)
    final, _ = final_study(study, rows, FinalOptions(front=True, repeats=1))
    assert len(final.candidates) == len(found) + 1


def test_baselines_in_different_words_for_one_training_are_one_and_that_is_said() -> None:
    study, rows = searched()
    words = (
        "resnet18:width=8",
        "resnet18:width=8,momentum=0.9",
        "resnet18:width=8,learning_rate=0.1,schedule=cosine",
        "resnet18:width=8,momentum=0.8",
        "small_cnn",
        "small_cnn:width=16",
    )
    final, notes = final_study(study, rows, FinalOptions(top=1, repeats=2, baselines=words))
    kept = [c.name for c in final.candidates if c.baseline]
    assert kept == ["resnet18:width=8", "resnet18:width=8,momentum=0.8", "small_cnn"]
    assert final.trials == 2 * len(final.candidates)
    said = [note for note in notes if "is left out" in note]
    assert [note.split()[1] for note in said] == [words[1], words[2], words[5]]
    assert said[0].endswith("it has the network and the recipe of resnet18:width=8 in other words")
    assert notes[-1] == f"compared with {' and '.join(kept)}"


@pytest.mark.parametrize(
    ("points", "directions", "expected"),
    [
        ([], [MAX, MIN], []),
        ([(1.0, 5.0)], [MAX, MIN], [0]),
        ([(0.9, 5.0), (0.8, 5.0), (0.9, 6.0), (0.7, 1.0)], [MAX, MIN], [0, 3]),
        ([(0.9, 5.0), (0.9, 5.0)], [MAX, MIN], [0, 1]),
        ([(1.0,), (2.0,), (2.0,)], [MIN], [0]),
    ],
)
def test_non_dominated_points(
    points: list[tuple[float, ...]], directions: list[Direction], expected: list[int]
) -> None:
    assert non_dominated(points, directions) == expected


def test_baseline_has_options_of_its_own_and_else_the_usual_recipe() -> None:
    base = SMALL.with_changes(optimizer="rmsprop", momentum=0.5, label_smoothing=0.1)
    plain = base.with_changes(**parse_baseline("resnet18", base).changes)
    assert (plain.model, plain.optimizer, plain.learning_rate) == ("resnet18", "sgd_momentum", 0.1)
    assert (plain.momentum, plain.weight_decay, plain.label_smoothing) == (None, 5e-4, 0.1)
    candidate = parse_baseline("resnet18:width=16,learning_rate=0.02,optimizer=adamw", base)
    narrow = base.with_changes(**candidate.changes)
    assert (narrow.model_options, narrow.learning_rate, narrow.optimizer) == ({"width": 16}, 0.02, "adamw")
    assert candidate.name == "resnet18:width=16,learning_rate=0.02,optimizer=adamw"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet", "unknown model 'resnet'"),
        ("resnet18:widht=3", "unknown field of a recipe 'widht'"),
        ("resnet18:width=0", "option 'width' must be a whole number"),
        ("resnet18:width", "an option must be NAME=VALUE, got 'width'"),
        ("resnet18:width=8,width=16", "width is given twice, got 'width=16' too; choose one"),
        ("resnet18:learning_rate=0.1,learning_rate=0.1", "learning_rate is given twice"),
        ("resnet18:epochs=3", "epochs is the same for all candidates"),
        ("resnet18:learning_rate=-1", "learning_rate must be"),
    ],
)
def test_wrong_baseline_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        parse_baseline(text, SMALL)


def test_the_message_names_what_cannot_be_chosen() -> None:
    study, rows = searched()
    with pytest.raises(InvalidValueError, match="no completed trial to choose finalists from"):
        final_study(study, [r for r in rows if not isinstance(r, TrialRow)], FinalOptions())
    _, notes = final_study(study, rows, FinalOptions(top=99))
    assert "--top 99 takes" in notes[1]
    assert notes[-1] == "compared with resnet18"
    with pytest.raises(InvalidValueError, match="repeats must be at least 1, got 0"):
        FinalOptions(repeats=0)
    final, _ = final_study(study, rows, FinalOptions())
    with pytest.raises(InvalidValueError, match="is a study of finalists already"):
        final_study(final, rows, FinalOptions())


def test_definition_of_a_study_with_candidates_goes_through_json_and_back() -> None:
    study, rows = searched()
    final, _ = final_study(study, rows, FinalOptions(baselines=("resnet18:width=8", "mobilenet")))
    data = json.loads(json.dumps(final.definition()))
    again = study_from_definition(final.name, data)
    assert again.fingerprint() == final.fingerprint()
    assert again.fit is fit_and_test
    point = {"repeat": 2, "candidate": "mobilenet"}
    assert again.recipe_for(point, 5) == final.recipe_for(point, 5)
    other = replace(final, candidates=tuple(replace(c, baseline=True) for c in final.candidates))
    assert other.fingerprint() != final.fingerprint()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"space": Space(Choice("candidate", ("a", "b")))},
            "must name candidates of the study \\(a\\), got 'b'",
        ),
        ({"space": Space(Float("learning_rate", 0.1, 1.0))}, "needs them in its space; add Choice"),
        ({"candidates": (Candidate(name="a"), Candidate(name="a"))}, "candidate 'a' appears twice"),
    ],
)
def test_candidates_and_space_fit_together(changes: dict[str, object], message: str) -> None:
    usual = {"candidates": (Candidate(name="a"),), "space": Space(Choice("candidate", ("a",)))}
    with pytest.raises(InvalidValueError, match=message):
        a_study(**{**usual, **changes})


def test_candidate_changes_no_field_that_all_share() -> None:
    with pytest.raises(InvalidValueError, match="epochs is the same for all candidates"):
        Candidate(name="a", changes={"epochs": 3})


@pytest.mark.parametrize("changes", [{"sampler": "tpe", "asha": None}, {"sampler": "random", "asha": Asha()}])
def test_nothing_is_searched_for_on_the_test_set(changes: dict[str, object]) -> None:
    with pytest.raises(
        InvalidValueError, match="test_accuracy is measured once, after training, and must not guide a search"
    ):
        a_study(objectives=(Objective(metric="test_accuracy"),), **changes)


def test_test_accuracy_of_a_search_reaches_no_decision() -> None:
    """A training that reports it changes nothing: rungs and sampler see the objective."""
    plain, leaking = MemoryLog(), MemoryLog()

    def with_test(attempt: Attempt, epoch: int) -> dict[str, object]:
        value = 1 - abs(attempt.recipe.learning_rate - 0.1)
        return {"epoch": epoch, "val_accuracy": value, "test_accuracy": 1.0 - value}

    play(Session(a_study(), plain, clock=Clock()), lambda a, e: {**with_test(a, e), "test_accuracy": None})
    play(Session(a_study(), leaking, clock=Clock()), with_test)
    assert [r.params for r in leaking.starts] == [r.params for r in plain.starts]
    assert [r.decision for r in leaking.reports] == [r.decision for r in plain.reports]


def test_report_of_a_final_study_lacks_its_metric_until_the_last_epoch_alone() -> None:
    study, rows = searched()
    final, _ = final_study(study, rows, FinalOptions(top=1, repeats=1, epochs=2, baselines=("small_cnn",)))
    log = MemoryLog()
    session = Session(final, log, clock=Clock())
    first, second = session.next_attempt(), session.next_attempt()
    assert first is not None
    assert second is not None
    assert session.record_report(first.number, {"epoch": 1}, WORKER) is Decision.CONTINUE
    assert session.record_report(first.number, {"epoch": 2, "test_accuracy": 0.75}, WORKER) is Decision.STOP
    session.record_report(second.number, {"epoch": 1}, WORKER)
    assert session.record_report(second.number, {"epoch": 2}, WORKER) is Decision.STOP
    done, failed = log.trials
    assert (done.state, done.objective, done.test_accuracy) == (State.COMPLETED, 0.75, 0.75)
    assert (done.val_accuracy, done.best_epoch) == (None, 2)
    assert failed.state is State.FAILED
    assert "lacks test_accuracy" in failed.reason


def test_finalists_are_trained_and_tested_once_also_when_killed_between(tmp_path: Path) -> None:
    study, rows = searched()
    options = FinalOptions(top=1, repeats=2, epochs=2, baselines=("resnet18:width=2",))
    final, _ = final_study(study, rows, options)
    whole, killed = str(tmp_path / "whole"), str(tmp_path / "killed")
    train_into(whole, final, period_s=0.0)
    train_into(killed, final, period_s=0.0, stop_after=3)
    train_into(killed, final, period_s=0.0)
    trials = TrialStore(whole).trials(final.name).sort_values("number")
    assert list(trials["state"]) == ["completed"] * 4
    assert list(trials["param_repeat"]) == [1, 1, 2, 2]
    assert list(trials["param_candidate"]) == [final.candidates[0].name, "resnet18:width=2"] * 2
    assert list(trials["test_accuracy"]) == list(trials["objective"])
    again = TrialStore(killed)
    assert list(again.trials(final.name).sort_values("number")["test_accuracy"]) == list(
        trials["test_accuracy"]
    )
    assert again.starts(final.name)["attempt"].max() == 2
    reports = TrialStore(whole).reports(final.name)
    assert list(reports.sort_values(["number", "epoch"])["test_accuracy"].notna()) == [False, True] * 4
    recipe = Recipe.from_json(TrialStore(whole).starts(final.name).sort_values("number")["recipe"].iloc[0])
    training = fit(recipe)
    list(training)
    assert evaluate_test(training.module, recipe).accuracy == trials["test_accuracy"].iloc[0]

    definition, stored = TrialStore(whole).definition(final.name), TrialStore(whole).rows(final.name)
    checked = audit(study_from_definition(final.name, definition), stored)
    assert (checked.num_proposals, checked.differences) == (4, ())
    trial = stored_trial(stored, 0, fit=definition["fit"])
    losses = [
        (e.stored[0], e.replayed[0])
        for e in iter_replay(trial, begin_replay(trial, device="cpu", data_dir=None), device="cpu")
    ]
    assert len(losses) == 2
    assert all(stored_loss == again_loss for stored_loss, again_loss in losses)
    table = candidates_table(trials, definition)
    assert {row[0] for row in table.rows} == {c.name for c in final.candidates}
    (compared,) = (row for row in table.rows if row[8] is not None)
    first, second = (list(trials["test_accuracy"])[side::2] for side in (0, 1))
    assert compared[9] == pytest.approx(sum(first) / 2 - sum(second) / 2)
    described = recipes_table(definition)
    assert [str(row[1]).split(":")[0] for row in described.rows] == ["small_cnn", "resnet18"]
    assert "train + validation" in described.title
