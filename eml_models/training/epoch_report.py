"""The report of one epoch of training; the names of all its metrics are defined here.

`eml_models.training.loop` makes the reports. Imports no torch, because code that shows a search needs only
the names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """The results of one epoch of training.

    Attributes:
        epoch: from 1.
        train_loss, train_accuracy: means over the epoch's training images, augmented and with label
            smoothing, each computed with the weights of its step.
        val_loss, val_accuracy: of the held-out images after the epoch, in nats and as a share in [0, 1], with
            the averaged weights if the recipe has `ema_decay`; None if the recipe trains on these images.
        learning_rate: of the last step.
        epoch_s: seconds of the epoch, including its validation; `elapsed_s` is the sum over this and all
            earlier epochs, including those before a resume.
        samples_per_s: training images per second, without validation.
        peak_memory_bytes: on CUDA, the most that this training has allocated; on a CPU, the most that the
            process ever held, including earlier work in the process.
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
