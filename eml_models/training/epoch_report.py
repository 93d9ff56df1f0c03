"""What one epoch of training came to: the one place that names the metrics of a report.

`eml_models.training.loop` makes them. Imports no torch: who looks at a search needs the names alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """What one epoch of training came to.

    Attributes:
        epoch: from 1.
        train_loss, train_accuracy: means over the epoch's images as they were trained on: augmented, with
            label smoothing, by the weights of the moment.
        val_loss, val_accuracy: of the held-out images after the epoch, in nats and as a share in [0, 1], by
            the averaged weights if the recipe has `ema_decay`; None if the recipe trains on them.
        learning_rate: of the last step.
        epoch_s: seconds of the epoch with its validation; `elapsed_s` is their sum over this and all earlier
            epochs, those before a resume too.
        samples_per_s: training images a second, validation left out.
        peak_memory_bytes: on CUDA the most that this training has allocated; on the CPU the most that the
            process ever held, which includes what ran before in it.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    learning_rate: float
    epoch_s: float
    elapsed_s: float
    samples_per_s: float
    peak_memory_bytes: int
