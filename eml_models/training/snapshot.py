"""The state of a training between two epochs, and its file. A training resumed from it is equal to the bit.

`eml_models.training.loop.Fit` takes and restores snapshots. A file appears whole or not at all. It is read as
data only, never as code. It holds everything that is needed to use its network, so the data set and the code
that reads the data set are not needed.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eml_models.data.facts import DataFacts, NetworkFacts
from eml_models.errors import InvalidValueError
from eml_models.networks.registry import build_model, known_models
from eml_models.training.recipe import Recipe, describe_differences
from eml_models.training.trained import TrainedNetwork
from eml_models.whole_files import write_whole

FORMAT = "eml_models.training.snapshot/4"

Owner = Mapping[str, str | int]
"""The owner of a snapshot's training, as named by the code that saved it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """A training after `epoch` epochs. Random draws need no state here: they depend on seed and epoch only.

    Attributes:
        recipe: of the training.
        epoch: number of finished epochs.
        elapsed_s: training time so far.
        module, optimizer: their state dicts, copied to the CPU; validation and test use `module`.
        trained: if `module` holds averaged weights (`Recipe.ema_decay`), the weights that are being trained;
            else empty.
        scaler: state of fp16's loss scaling; empty for other precisions.
        data: facts of the training's data set: how its images are standardised, its fingerprint, and others.
        owner: the owner of the training, as named by the code that saved it; may be empty. This module does
            not read it.
    """

    recipe: Recipe
    epoch: int
    elapsed_s: float
    module: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    scaler: Mapping[str, Any]
    data: DataFacts
    trained: Mapping[str, Any] = field(default_factory=dict)
    owner: Owner = field(default_factory=dict)

    def check_fits(self, recipe: Recipe, data_fingerprint: str) -> None:
        """Refuse to resume a training other than this one.

        Raises:
            InvalidValueError: another recipe (the message shows the difference) or other data.
        """
        differences = describe_differences(self.recipe, recipe)
        if self.data.fingerprint != data_fingerprint:
            differences.append(f"data: was {self.data.fingerprint}, is now {data_fingerprint}")
        if differences:
            raise InvalidValueError(
                f"this snapshot (epoch {self.epoch}) is of another training: {'; '.join(differences)};"
                " start without the snapshot, or use its recipe and its data"
            )


def copy_to_cpu(state: Any) -> Any:
    """A deep copy of a state dict: its tensors share no memory with the original; plain values stay."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: copy_to_cpu(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [copy_to_cpu(value) for value in state]
    return state


def save_snapshot(
    snapshot: Snapshot, path: str | os.PathLike[str], *, earlier_to: str | os.PathLike[str] | None = None
) -> None:
    """Write a snapshot; an earlier file at that path is replaced only when the new file is whole.

    Args:
        earlier_to: the new path of the earlier file; None to replace it.

    Raises:
        OSError: the file could not be written.
    """
    write_whole(path, snapshot_content(snapshot), earlier_to=earlier_to)


def snapshot_content(snapshot: Snapshot) -> memoryview:
    """The content of a snapshot's file."""
    return saved_content(_as_plain(snapshot))


def saved_content(data: Mapping[str, Any]) -> memoryview:
    """Tensors and plain values as the content of a file that `read_saved` reads."""
    content = io.BytesIO()  # on a full disk, torch itself would raise a RuntimeError
    torch.save(data, content)
    return content.getbuffer()


def read_saved(path: str | os.PathLike[str]) -> Any:
    """The tensors (on the CPU) and plain values of a file of `saved_content`; never runs code.

    Raises:
        InvalidValueError: the file is missing or damaged.
    """
    return _parse_saved(_read_bytes(path), path)


def load_snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """Read a snapshot.

    Raises:
        InvalidValueError: the file is missing, damaged, or no snapshot.
    """
    state = _read(path)
    return Snapshot(
        **{**state, "recipe": Recipe.from_json(state["recipe"]), "data": DataFacts.from_dict(state["data"])}
    )


def read_owner(path: str | os.PathLike[str]) -> Owner:
    """Read the owner of a snapshot's training; the code that trained it is not needed.

    Raises:
        InvalidValueError: the file is missing, damaged, or no snapshot.
    """
    owner: Owner = _read(path)["owner"]
    return owner


def load_trained(path: str | os.PathLike[str]) -> TrainedNetwork:
    """Load the network of a snapshot's file, in eval mode on the CPU.

    It takes images with the values that its data set stores. This process must know the family, but not the
    data set.

    Raises:
        InvalidValueError: the file is missing, damaged, or no snapshot; or its family is not registered, or
            has changed.
    """
    return _build_trained(_read(path), path)


def copy_snapshot(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> NetworkFacts:
    """Copy a snapshot's file after a check that it is whole; the code that trained it is not needed.

    If this process knows its family, the check includes loading the network, as `load_trained` does.

    Returns:
        The facts that are needed to use its network.

    Raises:
        InvalidValueError: the source is missing, damaged, or no snapshot; or its weights do not fit its
            family.
        OSError: the target could not be written.
    """
    content = _read_bytes(source)
    state = _parse(content, source)
    facts = _facts_of(state)
    if facts.recipe["model"] in known_models():
        _build_trained(state, source)
    write_whole(target, content)
    return facts


def _build_trained(state: Mapping[str, Any], path: str | os.PathLike[str]) -> TrainedNetwork:
    facts = _facts_of(state)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced below
        module: nn.Module = build_model(
            facts.recipe["model"],
            input_shape=facts.data.input_shape,
            num_classes=facts.data.num_classes,
            **facts.recipe["model_options"],
        )
    try:
        module.load_state_dict(state["module"])
    except (RuntimeError, TypeError, ValueError) as error:  # torch lists every name and shape that differs
        raise InvalidValueError(
            f"the weights in {path} do not fit the family {facts.recipe['model']!r} as it is in this process;"
            " load the file with the code that trained the network"
        ) from error
    return TrainedNetwork(module, facts).eval()


def _facts_of(state: Mapping[str, Any]) -> NetworkFacts:
    """Reads the recipe as plain JSON, because `Recipe` would need the data set."""
    try:
        recipe = json.loads(state["recipe"])
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(f"a snapshot's recipe must be JSON: {error}") from error
    return NetworkFacts(data=DataFacts.from_dict(state["data"]), recipe=recipe, epoch=state["epoch"])


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The plain values of a snapshot's file, without its format."""
    return _parse(_read_bytes(path), path)


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidValueError(f"cannot read a snapshot at {path}: {error.strerror}") from error


def _parse_saved(content: bytes, path: str | os.PathLike[str]) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()  # torch compares no checksums
        if damaged is not None:
            raise zipfile.BadZipFile(damaged)
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # for bytes that are no archive, torch may raise anything
        raise InvalidValueError(f"{path} is not a snapshot, or is damaged; start without it") from error


def _parse(content: bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    state = _parse_saved(content, path)
    names = {"format", *(f.name for f in fields(Snapshot))}
    if not isinstance(state, dict) or state.get("format") != FORMAT or set(state) != names:
        raise InvalidValueError(f"{path} is not a snapshot of this version ({FORMAT}); start without it")
    del state["format"]
    wrong = [name for name, kind in _KINDS.items() if not isinstance(state[name], kind)]
    if wrong:
        raise InvalidValueError(
            f"{path} is not a snapshot, wrong types of: {', '.join(wrong)}; start without it"
        )
    return state


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "recipe": str,
    "epoch": int,
    "elapsed_s": (int, float),
    **dict.fromkeys(("module", "trained", "optimizer", "scaler", "data", "owner"), Mapping),
}
"""The types of the values in a snapshot's file."""


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
        "data": snapshot.data.as_dict(),
        "owner": dict(snapshot.owner),
    }
