"""Shipped studies at the smoke scale: small, of another name, on the data at hand, within smaller limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from eml_models.data.datasets import get_dataset_spec
from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.reach import check_reachable
from tune_jobs.inputs.shipped import SHIPPED, lab_cifar10, lab_macs_30m, lab_mnist, mobilenet
from tune_jobs.inputs.smoke import dataset_at_hand, narrowed, smoke_study
from tune_jobs.study.method import Limits
from tune_jobs.study.parameters import Choice
from tune_jobs.study.space import Space
from tune_jobs.study.stored import study_from_definition


def put_dataset(folder: Path, name: str) -> None:
    for file in get_dataset_spec(name).files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_study_gets_small_and_keeps_its_limits_within_reach(name: str, tmp_path: Path) -> None:
    full = SHIPPED[name]()
    for dataset in ("digits", "fashion_mnist"):
        small, notes = smoke_study(full, data_dir=tmp_path, dataset=dataset)
        assert small.name == f"{name}-smoke"
        assert small.recipe.dataset == dataset
        assert small.recipe.epochs <= 6
        assert small.trials <= min(full.trials, 375)
        assert count_cost(small.recipe).macs < 80_000_000
        assert check_reachable(small) == []
        assert small.fingerprint() != full.fingerprint()
        assert small.space == full.space
        assert f"study '{name}-smoke'" in notes[0]


@pytest.mark.parametrize("name", SHIPPED)
def test_definition_of_every_shipped_study_goes_there_and_back(name: str) -> None:
    study = SHIPPED[name]()
    assert study_from_definition(study.name, study.definition()).fingerprint() == study.fingerprint()


def test_limit_shrinks_as_the_macs_of_the_network_do(tmp_path: Path) -> None:
    full = lab_macs_30m()
    small, notes = smoke_study(full, data_dir=tmp_path)
    share = count_cost(small.recipe).macs / count_cost(full.recipe).macs
    assert small.limits.max_macs == pytest.approx(30_000_000 * share, abs=1)
    assert f"max_macs {small.limits.max_macs:,} (full: 30,000,000)" in notes[0]


def test_note_names_every_limit_that_changed_and_nothing_that_the_space_sets(tmp_path: Path) -> None:
    full = mobilenet().with_changes(
        space=Space(*mobilenet().space.parameters, Choice("batch_size", (32, 64))),
        limits=Limits(max_macs=30_000_000, min_macs=20_000_000),
    )
    small, notes = smoke_study(full, data_dir=tmp_path)
    assert f"max_macs {small.limits.max_macs:,} (full: 30,000,000)" in notes[0]
    assert f"min_macs {small.limits.min_macs:,} (full: 20,000,000)" in notes[0]
    assert "batch_size" not in notes[0]
    note = smoke_study(mobilenet(), data_dir=tmp_path)[1][0]
    assert "batch_size 32 (full: 250)" in note
    assert "precision fp32 (full: bf16)" in note


def test_data_at_hand(tmp_path: Path) -> None:
    assert dataset_at_hand("cifar10", tmp_path) == "digits"
    assert dataset_at_hand("a_users_own", tmp_path) == "a_users_own"
    put_dataset(tmp_path, "cifar10")
    assert dataset_at_hand("cifar10", tmp_path) == "digits"
    put_dataset(tmp_path, "fashion_mnist")
    assert dataset_at_hand("cifar10", tmp_path) == "fashion_mnist"
    assert dataset_at_hand("mnist", tmp_path) == "fashion_mnist"
    put_dataset(tmp_path, "mnist")
    assert dataset_at_hand("mnist", tmp_path) == "mnist"
    assert dataset_at_hand("digits", tmp_path) == "digits"


def test_wide_networks_are_narrowed_and_large_sets_are_cut(tmp_path: Path) -> None:
    recipe = lab_cifar10().recipe.with_changes(dataset="digits")
    assert narrowed(recipe).model_options == {"width": 8}
    assert count_cost(narrowed(recipe)).macs <= 2_000_000 < count_cost(recipe).macs
    put_dataset(tmp_path, "fashion_mnist")
    cut, _ = smoke_study(lab_mnist(), data_dir=tmp_path)
    assert (cut.recipe.max_train_samples, cut.recipe.validation_fraction) == (1000, 0.02)
    whole, _ = smoke_study(lab_mnist(), data_dir=tmp_path / "empty")
    assert whole.recipe.max_train_samples is None


def test_lab_tables_train_each_cell_once_before_any_twice() -> None:
    for study, cells in ((lab_mnist(), 125), (lab_cifar10(), 100)):
        points = list(study.space.iter_grid())
        assert len(points) == study.trials == 3 * cells
        assert {point["repeat"] for point in points[:cells]} == {1}
        recipes = [study.recipe_for(point, number) for number, point in enumerate(points)]
        assert len({recipe.seed for recipe in recipes}) == study.trials
        assert len({recipe.with_changes(seed=0).to_json() for recipe in recipes}) == cells


def test_data_that_lies_elsewhere_is_named_where_digits_take_its_place(tmp_path: Path) -> None:
    raw = tmp_path / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for half in ("train", "t10k"):
        for part in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            (raw / f"{half}-{part}").touch()
    small, notes = smoke_study(lab_cifar10(), data_dir=tmp_path)  # one level too high
    assert small.recipe.dataset == "digits"
    (message,) = [note for note in notes if "fashion_mnist" in note]
    assert message.startswith("data set 'fashion_mnist' is not used: the files are in")
    assert f"--data-dir {tmp_path / 'data'}" in message
    assert not any(
        "was not taken" in note for note in smoke_study(lab_cifar10(), data_dir=raw.parent.parent)[1]
    )
