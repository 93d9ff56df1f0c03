"""Averaged weights: the rule by hand, what is averaged, that they are validated, tested, kept, resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from eml_models.errors import InvalidValueError
from eml_models.training.averaging import WeightAverage, decay_at
from eml_models.training.evaluation import evaluate
from eml_models.training.final_evaluation import evaluate_test
from eml_models.training.loop import Fit, fit
from eml_models.training.recipe import Recipe
from eml_models.training.snapshot import FORMAT, load_snapshot, load_trained, save_snapshot

PLAIN = Recipe(model_options={"width": 4}, learning_rate=0.05, epochs=4, batch_size=64, max_train_samples=300)
AVERAGED = PLAIN.with_changes(ema_decay=0.9)


def same(first: nn.Module, second: nn.Module) -> bool:
    theirs = second.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in first.state_dict().items())


@pytest.mark.parametrize(
    ("step", "decay", "expected"),
    [(0, 0.999, 0.1), (8, 0.999, 0.5), (90, 0.999, 0.91), (8, 0.4, 0.4), (10**6, 0.999, 0.999)],
)
def test_decay_rises_to_the_one_asked_for(step: int, decay: float, expected: float) -> None:
    assert decay_at(step, decay) == pytest.approx(expected)


class TestWeightAverage:
    def test_is_the_weighted_mean_of_what_it_saw(self) -> None:
        trained = nn.Linear(3, 2).double()
        average = WeightAverage(trained, decay=0.3)
        expected = trained.weight.detach().clone()
        for step in range(5):
            with torch.no_grad():
                trained.weight.add_(step + 1.0)
            average.update(step)
            decay = min(0.3, (1 + step) / (10 + step))
            expected = decay * expected + (1 - decay) * trained.weight.detach()
        torch.testing.assert_close(average.module.weight, expected)
        assert not torch.equal(average.module.weight, trained.weight)

    def test_statistics_of_batch_norms_are_copied(self) -> None:
        trained = nn.BatchNorm2d(2)
        average = WeightAverage(trained, decay=0.5)
        for step in range(3):
            trained(3 + torch.randn(8, 2, 3, 3))
            average.update(step)
        assert average.module.running_mean.tolist() == [0, 0]
        average.copy_buffers()
        for name, seen in trained.named_buffers():
            assert torch.equal(average.module.get_buffer(name), seen), name
        assert average.module.num_batches_tracked == 3

    def test_is_a_network_of_its_own_in_eval_mode(self) -> None:
        trained = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        average = WeightAverage(trained, decay=0.9)
        assert same(average.module, trained)
        with torch.no_grad():
            trained[0].weight.zero_()
        assert not same(average.module, trained)
        assert trained.training
        assert not any(part.training for part in average.module.modules())
        assert not any(weight.requires_grad for weight in average.module.parameters())


class TestTraining:
    def test_is_not_changed_by_averaging(self) -> None:
        plain, averaged = fit(PLAIN), fit(AVERAGED)
        pairs = list(zip(plain, averaged, strict=True))
        assert all(p.train_loss == a.train_loss for p, a in pairs)
        assert all(p.val_loss != a.val_loss for p, a in pairs)
        assert same(plain.module, averaged._trained)
        assert not same(plain.module, averaged.module)

    def test_validates_and_tests_the_averaged_network(self) -> None:
        training = fit(AVERAGED)
        *_, report = training
        assert training._images.validation is not None
        by_hand = evaluate(
            training.module, training._images.prepare, *training._images.validation, precision="fp32"
        )
        assert (report.val_loss, report.val_accuracy) == (by_hand.loss, by_hand.accuracy)
        assert evaluate_test(training.module, AVERAGED) != evaluate_test(training._trained, AVERAGED)

    def test_averages_over_its_steps(self) -> None:
        # one step: a tenth of the random start and nine tenths of what came of it
        recipe = AVERAGED.with_changes(max_train_samples=64, epochs=1, ema_decay=0.999)
        training = fit(recipe)
        start = {name: value.clone() for name, value in training.module.state_dict().items()}
        next(training)
        weights = dict(training._trained.named_parameters())
        for name, value in training.module.named_parameters():
            torch.testing.assert_close(value, 0.1 * start[name] + 0.9 * weights[name].detach())
        for name, value in training._trained.named_buffers():
            assert torch.equal(training.module.get_buffer(name), value), name


@pytest.fixture(scope="module")
def begun() -> Fit:
    training = fit(AVERAGED)
    next(training)
    return training


class TestSnapshot:
    def test_holds_the_averaged_network_and_the_one_in_training(self, begun: Fit, tmp_path: Path) -> None:
        save_snapshot(begun.snapshot(), tmp_path / "snapshot.pt")
        network = load_trained(tmp_path / "snapshot.pt")
        assert network.recipe == AVERAGED
        assert same(network.module, begun.module)
        assert not same(network.module, begun._trained)
        resumed = fit(AVERAGED, resume_from=tmp_path / "snapshot.pt")
        assert same(resumed._trained, begun._trained)

    def test_without_averaging_holds_one(self) -> None:
        assert fit(PLAIN).snapshot().trained == {}

    @pytest.mark.parametrize("version", [2, 4])
    def test_of_another_format_is_refused(self, version: int, tmp_path: Path) -> None:
        torch.save({"format": f"eml_models.training.snapshot/{version}"}, tmp_path / "snapshot.pt")
        with pytest.raises(InvalidValueError, match=f"not a snapshot of this version .{FORMAT}."):
            load_snapshot(tmp_path / "snapshot.pt")

    def test_does_not_resume_with_another_decay(self, begun: Fit) -> None:
        with pytest.raises(InvalidValueError, match=r"ema_decay: was 0\.9, is now None"):
            fit(PLAIN, resume_from=begun.snapshot())
