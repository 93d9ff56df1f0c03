"""Weights that are cast once a step: the training of autocast, to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import eml_models.training.half_weights
from eml_models import Recipe, fit
from eml_models.networks.registry import build_model
from eml_models.training.half_weights import HalfWeights
from eml_models.training.snapshot import Snapshot

SMALL: dict[str, Any] = {"learning_rate": 0.05, "epochs": 2, "max_train_samples": 128, "batch_size": 32}


def trained(recipe: Recipe) -> tuple[list[float], Snapshot]:
    training = fit(recipe)
    return [report.train_loss for report in training], training.snapshot()


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16"},
        {"precision": "fp16", "max_grad_norm": 0.5, "optimizer": "adamw", "learning_rate": 0.01},
        {"precision": "bf16", "ema_decay": 0.9, "channels_last": False, "label_smoothing": 0.1},
        {"precision": "bf16", "model": "mobilenet", "model_options": {"width_mult": 0.1, "se_ratio": 0.25}},
    ],
    ids=["bf16", "fp16 and clipping", "average and nchw", "gates"],
)
def test_a_training_equals_that_of_autocast_to_the_bit(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(**{**SMALL, **changes})
    losses, snapshot = trained(recipe)
    monkeypatch.setattr(eml_models.training.half_weights, "CAST_BY_AUTOCAST", ())
    of_autocast, other = trained(recipe)
    assert losses == of_autocast
    for state, reference in ((snapshot.module, other.module), (snapshot.trained, other.trained)):
        assert state.keys() == reference.keys()
        assert all(torch.equal(state[name], reference[name]) for name in reference)


def test_the_network_computes_with_the_copies_while_it_trains() -> None:
    training = fit(Recipe(**SMALL, precision="bf16"))
    weights = list(training.module.parameters())
    with training.tried():
        inside = {weight.dtype for weight in training.module.parameters()}
    assert inside == {torch.float32, torch.bfloat16}
    assert all(now is before for now, before in zip(training.module.parameters(), weights, strict=True))


def test_weights_come_back_after_an_exception() -> None:
    module = build_model("small_cnn", input_shape=(1, 8, 8), num_classes=10)
    weights = list(module.parameters())
    half = HalfWeights(module, torch.float16)
    with pytest.raises(RuntimeError, match="ended"), half.used():
        raise RuntimeError("ended")
    assert all(now is before for now, before in zip(module.parameters(), weights, strict=True))


def test_a_module_of_another_kind_is_left_to_autocast() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    with HalfWeights(module, torch.bfloat16).used():
        assert all(weight.dtype is torch.float32 for weight in module.parameters())
