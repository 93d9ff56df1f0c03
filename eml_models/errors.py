"""The errors of eml_models, and the root of every error that this project raises on purpose.

::

    EmlError                      anything below; catch it to catch them all
    ├── InvalidValueError         a value breaks a rule (also a ValueError)
    │   ├── UnknownNameError      a name is in no table; the message lists the known names, nearest first
    │   └── UnsupportedModeError  a device lacks a mode, or a model cannot run in it
    ├── DatasetMissingError       a data set is not in the data folder
    ├── DeployError               a deployed form cannot be made, or its results differ from the model's
    ├── WorkerLostError           a measuring process failed, or ended without an answer
    └── DivergedError             the loss of a training is not finite, or far too large

A message names the value, the rule and the way out. `tune_jobs.errors` continues this tree.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class EmlError(Exception):
    """Root of the errors that a user can act on."""


class InvalidValueError(EmlError, ValueError):
    """A value breaks a rule; the message names the value, the rule and the way out."""


class UnknownNameError(InvalidValueError):
    """A name is in no table.

    Args:
        kind: what the name stands for, for instance ``"optimizer"``.
        name: the unknown name.
        known: all known names; the message lists them, nearest first, and asks whether a near name was meant.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        ordered = sort_by_nearness(str(name), self.known)
        listed = ", ".join(ordered) or "(none)"
        super().__init__(f"unknown {kind} {name!r}; known: {listed}{did_you_mean(str(name), ordered)}")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.kind, self.name, self.known))


class UnsupportedModeError(InvalidValueError):
    """A device lacks a mode, or a model cannot run in it.

    Args:
        subject: the mode and the device.
        reason: why not, in words that are true for every mode with the same problem.
    """

    def __init__(self, subject: str, reason: str) -> None:
        self.subject, self.reason = subject, reason
        super().__init__(f"{subject}: {reason}")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.subject, self.reason))


class NotCompiledError(UnsupportedModeError):
    """A device has a mode, but this model could not be compiled for it. Other models may compile."""


class BatchTooLargeError(InvalidValueError):
    """A batch does not fit into a device's memory."""


class DatasetMissingError(EmlError):
    """A data set is not in the data folder, and the caller did not ask to download it."""


class DeployError(EmlError):
    """A deployed form cannot be made, or differs from the model by more than rounding explains."""


class WorkerLostError(EmlError):
    """A measuring process failed, or ended without an answer; the message names the request and the cause."""


class DivergedError(EmlError):
    """Training diverged.

    Attributes:
        epoch: the epoch (from 1) in which the divergence was found.
    """

    def __init__(self, message: str, epoch: int) -> None:
        super().__init__(message)
        self.message, self.epoch = message, epoch

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message, self.epoch))


def describe_cause(error: BaseException) -> str:
    """The innermost cause of an error, in one line: its type and the first line of its message.

    The outermost error of a compiler says only that compiling failed; torch keeps the reason in
    ``inner_exception``.
    """
    seen: set[int] = set()
    while (inner := getattr(error, "inner_exception", None) or error.__cause__) and id(error) not in seen:
        seen.add(id(error))  # ``raise error from error`` makes a circle
        error = inner
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def raise_if_any(subject: str, problems: Sequence[str]) -> None:
    """Raise one `InvalidValueError` that shows all problems together; do nothing if there are none."""
    if len(problems) == 1:
        raise InvalidValueError(f"{subject}: {problems[0]}")
    if problems:
        raise InvalidValueError(f"{subject}: {len(problems)} problems\n  - " + "\n  - ".join(problems))


NEAR = 0.7
"""The least similarity of two names of which one may be mistyped for the other; equal names have 1."""


def sort_by_nearness(name: str, known: Iterable[str]) -> list[str]:
    """The known names, most similar to `name` first; ties keep their order."""
    return sorted(known, key=lambda k: -_similarity(name, k))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Words for the end of a message that ask for the nearest known name; no words if none is near."""
    nearest = next(iter(sort_by_nearness(name, known)), None)
    if nearest is None or nearest == name or _similarity(name, nearest) < NEAR:
        return ""
    return f"; did you mean {nearest!r}?"


def _similarity(name: str, other: str) -> float:
    return difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio()
