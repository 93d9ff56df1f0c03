"""The state of a training between two epochs, from which it goes on to the bit, and its file.

`eml_models.train.Fit` takes and restores snapshots. A file appears whole or not at all: it is written under
another name in the same folder, synced, then renamed. Files are read as data only, never as code.
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eml_models.datasets import get_dataset_spec
from eml_models.errors import InvalidValueError
from eml_models.recipe import Recipe, describe_differences
from eml_models.registry import build_model

FORMAT = "eml_models.snapshot/2"
OLDER_FORMATS = ("eml_models.snapshot/1",)
"""Those that are still read. 1 is from before averaged weights: it lacks `trained`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """A training after `epoch` epochs. Chance needs no state here: it is a function of seed and epoch.

    Attributes:
        elapsed_s: training time so far.
        module, optimizer: their state dicts, copied to the CPU; `module` is what validation and test see.
        trained: where `module` is an average of weights (`Recipe.ema_decay`), those that are being trained;
            else empty.
        scaler: state of fp16's loss scaling; empty for other precisions.
        data_fingerprint: of the data set that it was trained on.
    """

    recipe: Recipe
    epoch: int
    elapsed_s: float
    module: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    scaler: Mapping[str, Any]
    data_fingerprint: str
    trained: Mapping[str, Any] = field(default_factory=dict)

    def check_fits(self, recipe: Recipe, data_fingerprint: str) -> None:
        """Refuse to go on with anything else than what was begun.

        Raises:
            InvalidValueError: another recipe (the message shows the difference) or other data.
        """
        differences = describe_differences(self.recipe, recipe)
        if self.data_fingerprint != data_fingerprint:
            differences.append(f"data: was {self.data_fingerprint}, is now {data_fingerprint}")
        if differences:
            raise InvalidValueError(
                f"this snapshot (epoch {self.epoch}) is of another training: {'; '.join(differences)};"
                " start without it, or use the recipe that it was taken from"
            )


def copy_to_cpu(state: Any) -> Any:
    """A deep copy of a state dict whose tensors share nothing with the original; plain values stay."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: copy_to_cpu(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [copy_to_cpu(value) for value in state]
    return state


def save_snapshot(snapshot: Snapshot, path: str | os.PathLike[str]) -> None:
    """Write a snapshot; an earlier file of that name is replaced only when the new one is whole.

    Raises:
        OSError: it could not be written.
    """
    path = Path(path)
    content = io.BytesIO()  # writing to a full disk itself, torch raises a RuntimeError
    torch.save(_as_plain(snapshot), content)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:  # whatever ends it, no half file stays
        temporary.unlink(missing_ok=True)
        raise


def load_snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """Read a snapshot.

    Raises:
        InvalidValueError: the file is missing, torn, or no snapshot.
    """
    try:
        content = io.BytesIO(Path(path).read_bytes())
    except OSError as error:
        raise InvalidValueError(f"cannot read a snapshot at {path}: {error.strerror}") from error
    try:
        state = torch.load(content, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no archive make it raise nearly anything
        raise InvalidValueError(f"{path} is not a snapshot, or a torn one; start without it") from error
    if not isinstance(state, dict) or state.get("format") not in (FORMAT, *OLDER_FORMATS):
        raise InvalidValueError(f"{path} is not a snapshot of this version ({FORMAT}); start without it")
    del state["format"]
    return Snapshot(**{**state, "recipe": Recipe.from_json(state["recipe"])})


def load_trained(path: str | os.PathLike[str]) -> tuple[nn.Module, Recipe]:
    """The network of a snapshot's file, in eval mode on the CPU, and the recipe that trained it.

    Raises:
        InvalidValueError: the file is missing, torn, or no snapshot.
    """
    snapshot = load_snapshot(path)
    spec = get_dataset_spec(snapshot.recipe.dataset)
    with torch.random.fork_rng(devices=[]):  # the weights that it draws are replaced at once
        module: nn.Module = build_model(
            snapshot.recipe.model,
            input_shape=spec.input_shape,
            num_classes=spec.num_classes,
            **snapshot.recipe.model_options,
        )
    module.load_state_dict(snapshot.module)
    return module.eval(), snapshot.recipe


def _as_plain(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "recipe": snapshot.recipe.to_json(),
        "epoch": snapshot.epoch,
        "elapsed_s": snapshot.elapsed_s,
        "module": snapshot.module,
        "trained": snapshot.trained,
        "optimizer": snapshot.optimizer,
        "scaler": snapshot.scaler,
        "data_fingerprint": snapshot.data_fingerprint,
    }
