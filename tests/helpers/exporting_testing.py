"""Trainings that have ended, and how each form in which a network is kept is run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from eml_models.data.datasets import (
    DatasetSpec,
    RawDataset,
    read_dataset,
)
from eml_models.data.facts import DataFacts
from eml_models.data.splits import split_indices
from eml_models.training.exporting import FACTS_FILE
from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe
from eml_models.training.snapshot import load_trained, save_snapshot

SMALL = Recipe(model="small_cnn", learning_rate=0.05, epochs=4, model_options={"width": 8})


CLASSES = ("dark", "bright", "coloured")


def read_stamps(folder: Path, download: bool) -> RawDataset:
    """Bytes 0 to 255 of three classes: what differs is small beside the mean and the noise."""
    random = np.random.default_rng(3)
    labels = np.arange(900) % 3
    images = random.normal(120, 40, (900, 3, 12, 12))
    images[labels == 1] += 12
    images[labels == 2, 0] += 14
    images = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    images[0, 0, 0, :2] = 0, 255
    return RawDataset(
        train_images=images[:750],
        train_labels=labels[:750],
        test_images=images[750:],
        test_labels=labels[750:],
    )


STAMPS = DatasetSpec(
    name="stamps", input_shape=(3, 12, 12), num_classes=3, read=read_stamps, class_names=CLASSES
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A training that has ended: the file of its snapshot, its own accuracy, and what it was measured on.

    Attributes:
        images: those held out, as the reader returned them.
    """

    path: Path
    recipe: Recipe
    val_accuracy: float
    raw: RawDataset
    images: Any
    labels: Any

    def score(self, run: Callable[[Any], Any]) -> float:
        """The share of the held-out images that a network classes right."""
        return float((np.asarray(run(self.images)).argmax(1) == self.labels).mean())

    @property
    def one_image(self) -> float:
        return 1 / len(self.labels)


def train(recipe: Recipe, folder: Path) -> Trained:
    training = fit(recipe)
    *_, last = training
    raw = read_dataset(recipe.dataset)
    _, held_out = split_indices(raw.train_labels, recipe.validation_fraction)
    save_snapshot(training.snapshot(), folder / "trained.pt")
    assert last.val_accuracy is not None
    return Trained(
        path=folder / "trained.pt",
        recipe=recipe,
        val_accuracy=last.val_accuracy,
        raw=raw,
        images=raw.train_images[held_out],
        labels=raw.train_labels[held_out],
    )


def run_onnx(path: Path) -> Callable[[Any], Any]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,), (got,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, got.name) == ("images", "tensor(float)", "logits")
    return lambda images: session.run(None, {"images": images.astype(np.float32)})[0]


def run_program(path: Path) -> Callable[[Any], Any]:
    module = torch.export.load(str(path)).module()
    return lambda images: module(torch.from_numpy(images.astype(np.float32))).detach().numpy()


def run_trained(path: Path) -> Callable[[Any], Any]:
    network = load_trained(path)
    return lambda images: network(torch.from_numpy(images)).detach().numpy()


RUNS = {".pt": run_trained, ".pt2": run_program, ".onnx": run_onnx}


def facts_in(path: Path) -> dict[str, Any]:
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    if path.suffix == ".pt2":
        extra = {FACTS_FILE: ""}
        torch.export.load(str(path), extra_files=extra)
        with zipfile.ZipFile(path) as archive:  # a way that loads no program
            (name,) = (name for name in archive.namelist() if name.endswith(f"/extra/{FACTS_FILE}"))
            assert archive.read(name).decode() == extra[FACTS_FILE]
        return dict(json.loads(extra[FACTS_FILE]))
    return load_trained(path).facts.as_dict()


FACTS = DataFacts(
    input_shape=(1, 2, 2), value_range=(0, 1), mean=(0.5,), std=(0.25,), num_classes=2, fingerprint="f"
)


class Shifted(nn.Module):
    """Logits of two classes, and one operation that an exporter may not know."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.stack([images.sum((1, 2, 3)), -images.sum((1, 2, 3))], 1)
