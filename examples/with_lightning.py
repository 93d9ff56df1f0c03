"""A Lightning module and its Trainer: a callback reports each epoch and keeps Lightning's own checkpoint.

Needs pip install 'tune-jobs[lightning]'.

python -m tune_jobs run examples/with_lightning.py:study --workers 2
"""

from __future__ import annotations

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tune_jobs import Choice, Float, Maximize, Space, Study


class Net(lightning.LightningModule):
    """A network of one hidden layer for the digits."""

    def __init__(self, *, width, lr):
        super().__init__()
        self.lr = lr
        self.layers = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def training_step(self, batch, index):
        images, labels = batch
        return functional.cross_entropy(self.layers(images), labels)

    def validation_step(self, batch, index):
        images, labels = batch
        logits = self.layers(images)
        self.log("val/accuracy", (logits.argmax(1) == labels).float().mean())
        self.log("val/loss", functional.cross_entropy(logits, labels))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


class ReportEpochs(lightning.Callback):
    """Reports what the module logged, after each epoch, with the checkpoint from which it can continue."""

    def __init__(self, run):
        self.run = run

    def on_train_epoch_end(self, trainer, module):
        folder = self.run.scratch / "checkpoint"
        trainer.save_checkpoint(folder / "last.ckpt")
        self.run.save_folder(folder)
        self.run.report(trainer.callback_metrics)


def train(params, run):
    lightning.seed_everything(run.seed % 2**32, verbose=False)
    images, labels = map(torch.tensor, load_digits(return_X_y=True))
    data = TensorDataset(images.float() / 16, labels)
    trainer = lightning.Trainer(
        max_epochs=run.epochs,
        accelerator=run.device,
        devices=1,
        callbacks=[ReportEpochs(run)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    folder = run.load_folder()
    trainer.fit(
        Net(**params),
        DataLoader(torch.utils.data.Subset(data, range(1400)), batch_size=64, shuffle=True),
        DataLoader(torch.utils.data.Subset(data, range(1400, 1797)), batch_size=397),
        ckpt_path=folder and folder / "last.ckpt",
        weights_only=True,
    )


study = Study(
    name="lightning",
    space=Space(Float("lr", 1e-4, 1e-1, log=True), Choice("width", (16, 32, 64))),
    train=train,
    epochs=9,
    objectives=Maximize("val/accuracy"),
)
