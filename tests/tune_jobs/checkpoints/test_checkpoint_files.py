"""A checkpoint is taken only if it is of this trial of this study: by resuming and by export."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe
from eml_models.training.snapshot import load_snapshot, save_snapshot
from tune_jobs.checkpoints.files import Checkpoints, Identity
from tune_jobs.checkpoints.saving import Saving

RECIPE = Recipe(learning_rate=0.05, epochs=3, max_train_samples=128)
IDENTITY = Identity(fingerprint="f0", created_at="2026-11-24T12:00:00+00:00")


def checkpoints_of(folder: Path, **changes: str) -> Checkpoints:
    return Checkpoints(store=str(folder), study="study", identity=replace(IDENTITY, **changes))


def train(checkpoints: Checkpoints, *, attempt: int = 1, number: int = 0, recipe: Recipe = RECIPE) -> Saving:
    """One attempt of a trial, to its end."""
    saving = Saving(checkpoints=checkpoints, number=number, attempt=attempt, epochs=3, period_s=0.0)
    training = saving.begin(fit, recipe)
    for report in training:
        saving.before_report(training, report)
        saving.after_report(training)
    return saving


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"fingerprint": "f1"}, "study's definition"),
        ({"created_at": "2026-11-25T12:00:00+00:00"}, "study's creation"),
    ],
)
def test_an_earlier_study_of_the_name_is_neither_gone_on_from_nor_exported(
    tmp_path: Path, changes: dict[str, str], differs: str
) -> None:
    train(checkpoints_of(tmp_path), attempt=7)
    now = checkpoints_of(tmp_path, **changes)
    saving = train(now, attempt=8)
    assert saving.resumed_from_epoch == 0
    assert f"attempt-7.pt is of another training (its {differs} differs)" in (saving.passed_over or "")
    problems: list[str] = []
    recipes = dict.fromkeys(range(1, 10), RECIPE.to_json())
    own = [path.name for path in now.iter_final(0, recipes, problems)]
    assert own == ["final-8.pt"]
    assert [problem.partition(" ")[0] for problem in problems] == [str(now.folder(0) / "final-7.pt")]
    earlier = [path.name for path in checkpoints_of(tmp_path).iter_final(0, recipes, [])]
    assert earlier == ["final-7.pt"]


def test_the_same_study_is_gone_on_from(tmp_path: Path) -> None:
    train(checkpoints_of(tmp_path))
    saving = train(checkpoints_of(tmp_path), attempt=2)
    assert (saving.resumed_from_epoch, saving.passed_over) == (3, None)


def test_another_trials_file_is_not_taken(tmp_path: Path) -> None:
    checkpoints = checkpoints_of(tmp_path)
    train(checkpoints, number=1)
    shutil.copytree(checkpoints.folder(1), checkpoints.folder(0))
    problems: list[str] = []
    assert list(checkpoints.iter_final(0, {1: RECIPE.to_json()}, problems)) == []
    assert "its trial differs" in problems[0]


def test_a_file_under_another_attempts_name_is_not_taken(tmp_path: Path) -> None:
    checkpoints = checkpoints_of(tmp_path)
    train(checkpoints)
    (checkpoints.folder(0) / "final-1.pt").rename(checkpoints.folder(0) / "final-2.pt")
    problems: list[str] = []
    recipes = dict.fromkeys((1, 2), RECIPE.to_json())
    assert list(checkpoints.iter_final(0, recipes, problems)) == []
    assert "its attempt differs" in problems[0]


@pytest.mark.parametrize("recipes", [{1: RECIPE.with_changes(learning_rate=0.1).to_json()}, {}])
def test_another_recipe_or_an_attempt_without_a_start_is_not_taken(
    tmp_path: Path, recipes: dict[int, str]
) -> None:
    checkpoints = checkpoints_of(tmp_path)
    train(checkpoints)
    assert list(checkpoints.iter_final(0, recipes, problems := [])) == []
    assert ("its recipe differs" if recipes else "its attempt differs") in problems[0]


def test_a_file_that_does_not_say_whose_it_is_is_not_taken(tmp_path: Path) -> None:
    checkpoints = checkpoints_of(tmp_path)
    train(checkpoints)
    path = checkpoints.folder(0) / "final-1.pt"
    save_snapshot(replace(load_snapshot(path), owner={}), path)
    assert list(checkpoints.iter_final(0, {1: RECIPE.to_json()}, problems := [])) == []
    assert "its study differs" in problems[0]


def test_two_checkpoints_of_an_attempt_are_kept_and_no_more(tmp_path: Path) -> None:
    checkpoints = checkpoints_of(tmp_path)
    train(checkpoints)
    folder = checkpoints.folder(0)
    assert sorted(path.name for path in folder.iterdir()) == ["attempt-1.pt", "earlier-1.pt", "final-1.pt"]
    assert [load_snapshot(folder / f"{kind}-1.pt").epoch for kind in ("earlier", "attempt", "final")] == [
        2,
        3,
        3,
    ]
    checkpoints.remove_living(0)
    assert [path.name for path in folder.iterdir()] == ["final-1.pt"]
