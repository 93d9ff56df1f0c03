"""Decides when a training has diverged: its loss is not finite, or its training loss is far above guessing.

The rule has its own file because it decides which trials fail; the training loop applies it after each epoch.
A loss near ln(classes) is not divergence: such a network has learnt nothing, and early stopping ends it.
"""

from __future__ import annotations

import math

from eml_models.errors import DivergedError
from eml_models.training.recipe import Recipe

BLOW_UP_FACTOR = 4.0
"""A training loss above this many times ln(classes), the loss of guessing, has blown up.

The rule does not apply in the first epoch, and never to a validation loss. Evidence: 320 runs of the small
CNN on digits with rates from 0.03 to 1 (six optimizers, five schedules, 12 epochs). In epoch 1, 24 runs were
above this bound, and 16 of them ended above 50 % accuracy. After epoch 1 no run was above it, because
networks with batch norm recover; the 6 runs then above half of it never learnt. The validation loss of 79
runs was above it at some time, and 71 of them ended above 50 %: the running statistics of batch norm lag
behind. """


def check_train_loss(loss: float, recipe: Recipe, epoch: int, num_classes: int) -> None:
    """Check the mean training loss of an epoch.

    Args:
        epoch: from 1.

    Raises:
        DivergedError: the loss is not finite, or it blew up.
    """
    check_finite("train_loss", loss, recipe, epoch)
    highest = BLOW_UP_FACTOR * math.log(num_classes)
    if epoch > 1 and loss > highest:
        rule = f"after epoch 1 it must be at most {highest:.4g}, {BLOW_UP_FACTOR:g} times that of guessing"
        raise DivergedError(_describe("train_loss", loss, recipe, epoch, rule), epoch)


def check_finite(name: str, loss: float, recipe: Recipe, epoch: int) -> None:
    """Check a loss of any kind.

    Raises:
        DivergedError: the loss is not finite.
    """
    if not math.isfinite(loss):
        raise DivergedError(_describe(name, loss, recipe, epoch, "it must be finite"), epoch)


def _describe(name: str, loss: float, recipe: Recipe, epoch: int, rule: str) -> str:
    way_out = f"lower learning_rate ({recipe.learning_rate:g}) or set max_grad_norm"
    return f"{name} is {loss:.4g} in epoch {epoch} of {recipe.epochs}; {rule}; {way_out}"
