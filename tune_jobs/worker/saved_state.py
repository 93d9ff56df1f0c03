"""The state that own training saves, as the content of a checkpoint's file and back.

Tensors and plain values are read as data and never as code. A folder travels as an archive of `saved_folder`.
Called by `trial_run`, and by the command `export`; `tune_jobs.checkpoints.files` keeps the files and their
owners. torch is imported inside the functions: the driver loads this module too, and needs no torch.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.whole_files import write_whole
from tune_jobs.worker import saved_folder

FORMAT = "tune_jobs.worker.saved_state/1"
PLAIN = (bool, int, float, complex, str, bytes, type(None))
MAX_BITS = 2000
"""Bits of a whole number; torch reads no number of more than 255 bytes as data."""
_KEYS = frozenset({"format", "report", "elapsed_s", "state", "folder", "owner"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedState:
    """A state with the report that acknowledges it.

    Attributes:
        report: the epoch of that report; the state is valid once the driver has recorded this report of its
            own attempt.
        elapsed_s: seconds of training until then, over all attempts.
        state: tensors on the CPU and plain values; None if only a folder was saved.
        folder: an archive of a folder; None if none was saved.
        owner: the trial and the attempt that it belongs to, as `Checkpoints` writes it.
    """

    report: int
    elapsed_s: float
    state: Any = None
    folder: Any = None
    owner: Mapping[str, str | int] | None = None

    @property
    def attempt(self) -> int:
        """The attempt that saved it; 0 if no file holds it."""
        return int((self.owner or {}).get("attempt", 0))

    def content(self) -> memoryview:
        """The content of the file."""
        from eml_models.training.snapshot import saved_content

        return saved_content(
            {
                "format": FORMAT,
                "report": self.report,
                "elapsed_s": self.elapsed_s,
                "state": self.state,
                "folder": self.folder,
                "owner": dict(self.owner or {}),
            }
        )


def read_state(path: str | os.PathLike[str]) -> SavedState:
    """The state in a file.

    Raises:
        InvalidValueError: the file is missing, torn, or holds no such state.
    """
    from eml_models.training.snapshot import read_saved

    data = read_saved(path)
    if not isinstance(data, dict) or data.get("format") != FORMAT or set(data) != _KEYS:
        raise InvalidValueError(f"{path} holds no state of this version ({FORMAT}); start without it")
    del data["format"]
    return SavedState(**data)


def owner_of_state(path: Path) -> Mapping[str, str | int]:
    """The owner of a state's file; see `read_state`."""
    return read_state(path).owner or {}


def copied(state: Any) -> Any:
    """A deep copy that later changes of the training leave alone: tensors on the CPU, plain values.

    What it returns can be written and read again. Tuples stay tuples, as ``random.setstate`` needs them; of
    other subclasses, such as the members of an enumeration, the plain value stays.

    Raises:
        InvalidValueError: the state holds anything else; the message names the place.
    """
    try:
        return _copied(state, "state")
    except RecursionError:
        raise _refused(
            "lists or dictionaries that hold themselves, or too many within each other", "state"
        ) from None


def _copied(value: Any, where: str) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return _copied_tensor(value, where)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of NumPy
        value = value.item()
    if isinstance(value, PLAIN):
        return _plain(value, where)
    if isinstance(value, Mapping):
        return {
            _copied_key(key, f"a key of {where}"): _copied(item, f"{where}[{key!r}]")
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        items = [_copied(item, f"{where}[{index}]") for index, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    raise _refused(type(value).__name__, where)


def _copied_tensor(tensor: Any, where: str) -> Any:
    import torch

    try:
        return tensor.detach().as_subclass(torch.Tensor).to("cpu", copy=True)
    except (RuntimeError, ValueError) as error:
        if tensor.layout is torch.strided and not isinstance(error, NotImplementedError | ValueError):
            raise  # of the GPU, and not of the state
        why = str(error).splitlines()[0][:200]
        raise _refused(f"a tensor that cannot be copied ({why}; layout {tensor.layout})", where) from error


def _copied_key(key: Any, where: str) -> Any:
    if not isinstance(key, PLAIN):  # a list could be no key, and a tensor is found under itself alone
        raise _refused(type(key).__name__, where)
    return _plain(key, where)


def _plain(value: Any, where: str) -> Any:
    """A plain value of a type that a file gives back: read as data, it gives back no subclass."""
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise _refused(f"a whole number of {value.bit_length():,} bits (the most are {MAX_BITS:,})", where)
    kinds: tuple[Any, ...] = PLAIN[:-1]
    return next((kind(value) for kind in kinds if isinstance(value, kind)), None)


def _refused(got: str, where: str) -> InvalidValueError:
    return InvalidValueError(
        f"run.save takes tensors and plain values (numbers, text, None, lists, dictionaries), got {got} at"
        f" {where}; save its state_dict(), or write files and call run.save_folder"
    )


def write_state(saved: SavedState, target: str | os.PathLike[str]) -> None:
    """Write what ``run.save`` took to a file that ``torch.load(target, weights_only=True)`` reads.

    Raises:
        OSError: the file could not be written; then none is there.
    """
    from eml_models.training.snapshot import saved_content

    write_whole(target, saved_content(saved.state))


def write_folder(saved: SavedState, target: str | os.PathLike[str]) -> None:
    """Write the files that ``run.save_folder`` took to a new folder, which appears whole or not at all.

    Raises:
        OSError: the folder could not be written; then none is there.
    """
    path = Path(target)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as half:
        whole = Path(half) / path.name
        whole.mkdir()
        saved_folder.unpack(saved.folder, whole)
        whole.rename(path)
