"""The state of a training between two epochs, from which it goes on to the bit, and its file.

`eml_models.training.loop.Fit` takes and restores snapshots. A file appears whole or not at all, and is read
as data only, never as code. It holds all that its network must be used with, so that neither the data set nor
the code that reads it is needed for that.
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
"""Whose training a snapshot is, as the code that saved it says."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """A training after `epoch` epochs. Chance needs no state here: it is a function of seed and epoch.

    Attributes:
        elapsed_s: training time so far.
        module, optimizer: their state dicts, copied to the CPU; `module` is what validation and test see.
        trained: where `module` is an average of weights (`Recipe.ema_decay`), those that are being trained;
            else empty.
        scaler: state of fp16's loss scaling; empty for other precisions.
        data: facts of the data set that it is trained on: what standardises its images, and the fingerprint.
        owner: whose training it is, as the code that saved it says; may be empty. Nothing here looks at it.
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
        """Refuse to resume another training than this one.

        Raises:
            InvalidValueError: another recipe (the message shows the difference) or other data.
        """
        differences = describe_differences(self.recipe, recipe)
        if self.data.fingerprint != data_fingerprint:
            differences.append(f"data: was {self.data.fingerprint}, is now {data_fingerprint}")
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


def save_snapshot(
    snapshot: Snapshot, path: str | os.PathLike[str], *, earlier_to: str | os.PathLike[str] | None = None
) -> None:
    """Write a snapshot; an earlier file of that name is replaced only when the new one is whole.

    Args:
        earlier_to: where the earlier file goes then; None for nowhere.

    Raises:
        OSError: it could not be written.
    """
    write_whole(path, snapshot_content(snapshot), earlier_to=earlier_to)


def snapshot_content(snapshot: Snapshot) -> memoryview:
    """The content of a snapshot's file."""
    return saved_content(_as_plain(snapshot))


def saved_content(data: Mapping[str, Any]) -> memoryview:
    """Tensors and plain values as the content of a file that `read_saved` reads."""
    content = io.BytesIO()  # writing to a full disk itself, torch raises a RuntimeError
    torch.save(data, content)
    return content.getbuffer()


def read_saved(path: str | os.PathLike[str]) -> Any:
    """The tensors (on the CPU) and plain values of a file of `saved_content`; never runs code.

    Raises:
        InvalidValueError: the file is missing or torn.
    """
    return _parse_saved(_read_bytes(path), path)


def load_snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """Read a snapshot.

    Raises:
        InvalidValueError: the file is missing, torn, or no snapshot.
    """
    state = _read(path)
    return Snapshot(
        **{**state, "recipe": Recipe.from_json(state["recipe"]), "data": DataFacts.from_dict(state["data"])}
    )


def read_owner(path: str | os.PathLike[str]) -> Owner:
    """Whose training a whole snapshot is; needs none of the code that trained it.

    Raises:
        InvalidValueError: the file is missing, torn, or no snapshot.
    """
    owner: Owner = _read(path)["owner"]
    return owner


def load_trained(path: str | os.PathLike[str]) -> TrainedNetwork:
    """The network of a snapshot's file, in eval mode on the CPU: it takes images as its data set stores them.

    Only the family must be known in this process; the data set need not be.

    Raises:
        InvalidValueError: the file is missing, torn, or no snapshot; or its family is not registered, or is
            another one now.
    """
    return _build_trained(_read(path), path)


def copy_snapshot(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> NetworkFacts:
    """Copy a snapshot's file, after a look that it is a whole one; needs none of the code that trained it.

    Where its family is known, its network is built and loaded first, as `load_trained` does.

    Returns:
        What its network must be used with.

    Raises:
        InvalidValueError: the source is missing, torn, or no snapshot; or its weights do not fit its family.
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
    with torch.random.fork_rng(devices=[]):  # the weights that it draws are replaced at once
        module: nn.Module = build_model(
            facts.recipe["model"],
            input_shape=facts.data.input_shape,
            num_classes=facts.data.num_classes,
            **facts.recipe["model_options"],
        )
    try:
        module.load_state_dict(state["module"])
    except (RuntimeError, TypeError, ValueError) as error:  # names and shapes that differ, at length
        raise InvalidValueError(
            f"the weights in {path} do not fit the family {facts.recipe['model']!r} as it is in this process;"
            " load it with the code that trained it"
        ) from error
    return TrainedNetwork(module, facts).eval()


def _facts_of(state: Mapping[str, Any]) -> NetworkFacts:
    """Read without `Recipe`, which would ask for the data set."""
    try:
        recipe = json.loads(state["recipe"])
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(f"a snapshot's recipe must be JSON: {error}") from error
    return NetworkFacts(data=DataFacts.from_dict(state["data"]), recipe=recipe, epoch=state["epoch"])


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A snapshot's plain values, less its format."""
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
    except Exception as error:  # bytes that are no archive make it raise nearly anything
        raise InvalidValueError(f"{path} is not a snapshot, or a torn one; start without it") from error


def _parse(content: bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    state = _parse_saved(content, path)
    names = {"format", *(f.name for f in fields(Snapshot))}
    if not isinstance(state, dict) or state.get("format") != FORMAT or set(state) != names:
        raise InvalidValueError(f"{path} is not a snapshot of this version ({FORMAT}); start without it")
    del state["format"]
    wrong = [name for name, kind in _KINDS.items() if not isinstance(state[name], kind)]
    if wrong:
        raise InvalidValueError(
            f"{path} is not a snapshot: {', '.join(wrong)} must be what a training saves; start without it"
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
