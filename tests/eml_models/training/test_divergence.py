"""When a training has diverged: losses that are not finite, and losses that blew up."""

from __future__ import annotations

import math

import pytest
import torch

from eml_models.errors import DivergedError
from eml_models.training.divergence import check_train_loss
from eml_models.training.final_evaluation import evaluate_test
from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe

SMALL = Recipe(model_options={"width": 4}, learning_rate=0.05, epochs=6, batch_size=64, max_train_samples=150)


class TestDivergence:
    @pytest.mark.parametrize("optimizer", ["sgd", "adam"])
    def test_loss_that_is_not_finite_is_an_error_and_no_report(self, optimizer: str) -> None:
        training = fit(SMALL.with_changes(optimizer=optimizer, learning_rate=1e30))
        with pytest.raises(
            DivergedError, match=r"loss is (nan|inf) in epoch \d of 6; it must be finite"
        ) as caught:
            list(training)
        assert caught.value.epoch == training.epoch + 1
        assert "lower learning_rate (1e+30)" in str(caught.value)

    def test_network_that_learns_nothing_has_not_diverged(self) -> None:
        recipe = SMALL.with_changes(optimizer="adam", learning_rate=1.0, schedule="constant", epochs=3)
        assert len(list(fit(recipe))) == 3

    def test_loss_that_blew_up_is_an_error_after_the_first_epoch(self) -> None:
        limit = 4 * math.log(10)
        check_train_loss(1000.0, SMALL, 1, 10)
        check_train_loss(limit - 0.01, SMALL, 2, 10)
        with pytest.raises(
            DivergedError, match=r"train_loss is 9.22 in epoch 2 of 6; after epoch 1 it must be at most 9.21"
        ):
            check_train_loss(limit + 0.01, SMALL, 2, 10)

    def test_weights_that_are_not_finite_do_not_pass_the_test_set(self) -> None:
        training = fit(SMALL.with_changes(epochs=1))
        with torch.no_grad():
            next(training.module.parameters()).fill_(math.nan)
        with pytest.raises(DivergedError, match="test_loss is nan"):
            evaluate_test(training.module, training.recipe)
