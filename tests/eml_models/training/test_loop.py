"""Training: to the bit, resumable to the bit, finite or refused, and touching nothing that is not its own."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eml_models.data.augment import AUGMENTATIONS
from eml_models.data.datasets import (
    DatasetSpec,
    RawDataset,
    provide_dataset,
    read_dataset,
    register_dataset,
    unregister_dataset,
)
from eml_models.data.loading import load_dataset
from eml_models.data.raw_data import fingerprint
from eml_models.errors import DatasetMissingError, InvalidValueError
from eml_models.training.epoch_report import EpochReport
from eml_models.training.final_evaluation import evaluate_test
from eml_models.training.loop import Fit, fit
from eml_models.training.optimizers import OPTIMIZERS
from eml_models.training.recipe import CHOICES, Recipe
from eml_models.training.schedules import SCHEDULES
from eml_models.training.snapshot import save_snapshot

SMALL = Recipe(model_options={"width": 4}, learning_rate=0.05, epochs=6, batch_size=64, max_train_samples=150)
NOT_TIME = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate")


def results(reports: list[EpochReport]) -> list[tuple[object, ...]]:
    """Everything in the reports that is not a time or memory."""
    return [tuple(getattr(report, name) for name in NOT_TIME) for report in reports]


def assert_same_weights(first: torch.nn.Module, second: torch.nn.Module) -> None:
    for (name, value), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(value, other), name


class TestReports:
    def test_one_an_epoch_that_learns(self) -> None:
        training = fit(Recipe(learning_rate=0.05, epochs=4))
        reports = list(training)
        assert [report.epoch for report in reports] == [1, 2, 3, 4]
        assert reports[-1].val_accuracy is not None
        assert reports[-1].val_accuracy > 0.8
        assert reports[-1].train_loss < reports[0].train_loss
        assert next(training, None) is None

    def test_times_add_up(self) -> None:
        reports = list(fit(SMALL))
        assert reports[-1].elapsed_s == pytest.approx(sum(report.epoch_s for report in reports))
        assert all(150 / report.epoch_s < report.samples_per_s < math.inf for report in reports)
        assert all(report.peak_memory_bytes > 10**6 for report in reports)

    def test_learning_rate_is_that_of_the_last_step(self) -> None:
        recipe = SMALL.with_changes(schedule="linear", epochs=2)
        assert [report.learning_rate for report in fit(recipe)] == pytest.approx(
            [0.05 * 3.5 / 6, 0.05 * 0.5 / 6]
        )

    @pytest.mark.parametrize("schedule", SCHEDULES)
    def test_no_step_has_rate_zero(self, schedule: str) -> None:
        recipe = SMALL.with_changes(schedule=schedule, epochs=1, max_train_samples=64, warmup_fraction=0.5)
        assert [report.learning_rate > 0 for report in fit(recipe)] == [True]

    def test_validation_is_of_held_out_images_in_eval_mode(self) -> None:
        training = fit(SMALL.with_changes(epochs=1))
        report = next(training)
        assert not training.module.training
        digits = load_dataset("digits")
        trained_on = set(training._images.train.tolist())
        held_out = [
            i
            for i in range(1438)
            if i not in set(fit(Recipe(learning_rate=1, epochs=1))._images.train.tolist())
        ]
        assert trained_on.isdisjoint(held_out)
        images = (digits.train_images_NCHW[held_out].float() - digits.mean) / digits.std
        with torch.no_grad():
            logits = training.module(images)
        labels = digits.train_labels[held_out]
        assert report.val_loss == pytest.approx(
            torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-4
        )
        assert report.val_accuracy == pytest.approx((logits.argmax(1) == labels).double().mean().item())

    def test_training_on_the_held_out_images_too_has_no_validation(self) -> None:
        recipe = SMALL.with_changes(train_on="train_and_validation", epochs=1, max_train_samples=None)
        training = fit(recipe)
        report = next(training)
        assert sorted(training._images.train.tolist()) == list(range(1438))
        assert (report.val_loss, report.val_accuracy) == (None, None)
        assert not training.module.training


class TestToTheBit:
    def test_same_recipe_same_weights_whatever_ran_before(self) -> None:
        recipe = SMALL.with_changes(augmentation="crop_flip", model_options={"width": 4, "dropout": 0.3})
        first = fit(recipe)
        before = results(list(first))
        list(fit(SMALL.with_changes(optimizer="adam", seed=9, epochs=1)))
        torch.randn(1000)
        np.random.RandomState(0).rand()
        second = fit(recipe)
        reports = []
        for report in second:
            reports.append(report)
            torch.randn(17)  # a consumer that draws between epochs
        assert results(reports) == before
        assert_same_weights(first.module, second.module)

    def test_global_generator_is_left_as_it_was(self) -> None:
        before = torch.get_rng_state()
        list(fit(SMALL.with_changes(augmentation="crop", model_options={"dropout": 0.5}, epochs=2)))
        assert torch.equal(torch.get_rng_state(), before)

    def test_seed_decides_weights_order_and_dropout_but_not_the_split(self) -> None:
        first, second = fit(SMALL), fit(SMALL.with_changes(seed=1))
        assert torch.equal(first._images.train, second._images.train)
        assert any(
            not torch.equal(a, b)
            for a, b in zip(first.module.parameters(), second.module.parameters(), strict=True)
        )
        assert results(list(first)) != results(list(second))


VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {"optimizer": name, "learning_rate": 0.01} for name in OPTIMIZERS},
    "augmented": {"augmentation": "crop_flip"},
    "dropout": {"model_options": {"width": 4, "dropout": 0.5}},
    "one_cycle": {"schedule": "one_cycle", "warmup_fraction": 0.1},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16", "max_train_samples": 64},
    "clipped": {"max_grad_norm": 0.1, "label_smoothing": 0.1, "weight_decay": 0.01},
    "contiguous": {"channels_last": False},
    "averaged": {"ema_decay": 0.9, "optimizer": "adam", "learning_rate": 0.01},
    "averaged in fp16": {"ema_decay": 0.9, "precision": "fp16", "max_train_samples": 64},
    "cutout": {"cutout": 0.4, "augmentation": "crop"},
    "mobilenet": {"model": "mobilenet", "model_options": {"width_mult": 0.1, "dropout": 0.1}, "epochs": 2},
    "gated": {"model": "mobilenet", "model_options": {"width_mult": 0.1, "se_ratio": 0.25}, "epochs": 2},
}


class TestResume:
    @pytest.mark.parametrize("variant", VARIANTS)
    def test_resumed_training_is_equal_to_the_bit(self, variant: str, tmp_path: Path) -> None:
        recipe = SMALL.with_changes(**VARIANTS[variant])
        half = recipe.epochs // 2
        straight = fit(recipe)
        expected = list(straight)
        begun = fit(recipe)
        reports = [next(begun) for _ in range(half)]
        save_snapshot(begun.snapshot(), tmp_path / "snapshot.pt")
        resumed = fit(recipe, resume_from=tmp_path / "snapshot.pt")
        assert resumed.epoch == half
        reports += resumed
        assert results(reports) == results(expected)
        assert_same_weights(straight.module, resumed.module)
        assert_same_weights(straight._trained, resumed._trained)
        assert reports[-1].elapsed_s == pytest.approx(sum(report.epoch_s for report in reports))

    def test_snapshot_does_not_change_with_further_training(self) -> None:
        training = fit(SMALL.with_changes(optimizer="adam"))
        next(training)
        taken = training.snapshot()
        kept = copy.deepcopy(taken)
        expected = results(list(training))
        for name, value in taken.module.items():
            assert torch.equal(value, kept.module[name]), name
        for _ in range(2):  # nor by being resumed from
            assert results(list(fit(SMALL.with_changes(optimizer="adam"), resume_from=taken))) == expected

    def test_finished_training_has_nothing_left(self) -> None:
        training = fit(SMALL.with_changes(epochs=1))
        next(training)
        assert list(fit(SMALL.with_changes(epochs=1), resume_from=training.snapshot())) == []

    def test_snapshot_of_another_recipe_is_refused_with_the_difference(self) -> None:
        taken = fit(SMALL).snapshot()
        with pytest.raises(InvalidValueError) as caught:
            fit(SMALL.with_changes(learning_rate=0.1, epochs=7), resume_from=taken)
        assert "learning_rate: was 0.05, is now 0.1; epochs: was 6, is now 7" in str(caught.value)

    def test_snapshot_of_other_data_is_refused(self) -> None:
        taken = fit(SMALL).snapshot()
        taken = dataclasses.replace(taken, data=dataclasses.replace(taken.data, fingerprint="0"))
        with pytest.raises(InvalidValueError, match="data: was 0, is now c911f9ec"):
            fit(SMALL, resume_from=taken)


class TestPrecision:
    @pytest.mark.parametrize("precision", CHOICES["precision"])
    @pytest.mark.parametrize("channels_last", [False, True])
    def test_gives_about_the_same(self, precision: str, channels_last: bool) -> None:
        changes = {"precision": precision, "channels_last": channels_last, "epochs": 2}
        reports = list(fit(SMALL.with_changes(**changes)))
        reference = list(fit(SMALL.with_changes(epochs=2)))
        assert reports[-1].train_loss == pytest.approx(reference[-1].train_loss, rel=0.02)
        assert reports[-1].val_loss == pytest.approx(reference[-1].val_loss, rel=0.02)

    def test_low_precision_keeps_weights_in_fp32(self) -> None:
        training = fit(SMALL.with_changes(precision="bf16", epochs=1))
        next(training)
        assert {p.dtype for p in training.module.parameters()} == {torch.float32}

    def test_fp16_steps_back_from_a_scale_that_overflows(self) -> None:
        training = fit(SMALL.with_changes(precision="fp16", max_train_samples=64, epochs=2))
        assert training._step.scaler is not None
        training._step.scaler.load_state_dict({**training._step.scaler.state_dict(), "scale": 2.0**30})
        list(training)
        assert 2**16 < training._step.scaler.get_scale() < 2**30


class TestBatches:
    def test_blocks_only_bound_the_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = results(list(fit(SMALL)))
        monkeypatch.setattr("eml_models.data.batches.BLOCK_BYTES", 1)
        assert results(list(fit(SMALL))) == whole

    @pytest.mark.parametrize("count", [1, 5])
    def test_set_smaller_than_a_batch_trains(self, count: int) -> None:
        assert len(list(fit(SMALL.with_changes(max_train_samples=count, epochs=2)))) == 2


class TestGradients:
    def test_are_clipped(self) -> None:
        # one step of plain SGD moves the weights by rate * gradient, whose norm is the limit
        changes = {"optimizer": "sgd", "epochs": 1, "max_train_samples": 64, "schedule": "constant"}
        training = fit(SMALL.with_changes(max_grad_norm=0.01, **changes))
        before = [p.detach().clone() for p in training.module.parameters()]
        next(training)
        moved = torch.cat(
            [(p - q).flatten() for p, q in zip(training.module.parameters(), before, strict=True)]
        )
        assert moved.norm().item() == pytest.approx(0.05 * 0.01, rel=1e-3)

    def test_label_smoothing_raises_the_loss_of_training_only(self) -> None:
        plain, smooth = (
            fit(SMALL.with_changes(label_smoothing=share, learning_rate=1e-9, epochs=1))
            for share in (0.0, 0.5)
        )
        first, second = next(plain), next(smooth)
        assert second.val_loss == pytest.approx(first.val_loss, rel=1e-5)
        assert second.train_loss != pytest.approx(first.train_loss, rel=1e-5)


def read_disagreeing(folder: Path, download: bool) -> RawDataset:
    """Training images all of class 0, test images of class 1."""
    images = np.random.RandomState(0).randint(0, 255, (40, 8, 8)).astype(np.uint8)
    return RawDataset(
        train_images=images, train_labels=np.zeros(40, int), test_images=images, test_labels=np.ones(40, int)
    )


@pytest.fixture
def _disagreeing() -> Iterator[None]:
    register_dataset(
        DatasetSpec(name="disagreeing", input_shape=(1, 8, 8), num_classes=2, read=read_disagreeing)
    )
    yield
    unregister_dataset("disagreeing")


@pytest.mark.usefixtures("_disagreeing")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_nothing_writes_into_the_data_set(dtype: type, tmp_path: Path) -> None:
    """It may be memory that other processes train on, whichever way its images are stored and changed."""
    raw = read_disagreeing(tmp_path, False)
    images = raw.train_images.astype(dtype)
    given = dataclasses.replace(raw, train_images=images, test_images=images.copy())
    provide_dataset("disagreeing", given, fingerprint="", data_dir=tmp_path)
    used = read_dataset("disagreeing", data_dir=tmp_path)
    before = fingerprint(used)
    base = SMALL.with_changes(dataset="disagreeing", epochs=1, channels_last=True)
    for changes in (*({"augmentation": name} for name in AUGMENTATIONS), {"cutout": 0.5}):
        training = fit(base.with_changes(**changes), data_dir=tmp_path)
        list(training)
        evaluate_test(training.module, training.recipe, data_dir=tmp_path)
    assert load_dataset("disagreeing", data_dir=tmp_path).train_images_NCHW.data_ptr() == images.ctypes.data
    assert fingerprint(used) == before


@pytest.mark.usefixtures("_disagreeing")
def test_test_set_is_evaluated_only_when_asked() -> None:
    training = fit(SMALL.with_changes(dataset="disagreeing"))
    reports = list(training)
    assert (reports[-1].train_accuracy, reports[-1].val_accuracy) == (1.0, 1.0)
    assert evaluate_test(training.module, training.recipe).accuracy == 0.0


def test_missing_data_set_is_an_error_before_training(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissingError, match="data set 'mnist' is not in"):
        fit(SMALL.with_changes(dataset="mnist"), data_dir=tmp_path)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", CHOICES["precision"])
def test_cuda_learns_in_every_precision_and_resumes(precision: str) -> None:
    recipe = Recipe(learning_rate=0.05, epochs=4, precision=precision, augmentation="crop")  # type: ignore[arg-type]
    training = fit(recipe, device="cuda")
    reports = [next(training), next(training)]
    resumed: Fit = fit(recipe, device="cuda", resume_from=training.snapshot())
    reports += resumed
    assert reports[-1].val_accuracy is not None
    assert reports[-1].val_accuracy > 0.8
    assert evaluate_test(resumed.module, recipe).accuracy > 0.8
