"""Checkpoints of a study's trials: where they lie, whose they are, which ones to keep.

Workers save and load; the driver removes. Under ``STORE/checkpoints/STUDY/NUMBER/`` each attempt has files of
its own, so that a worker that outlives its driver cannot overwrite what a newer attempt wrote:

* ``attempt-N.pt``: what attempt N can be gone on from; ``earlier-N.pt``: the one before it, for where that
  one is damaged. A living trial thus takes twice the room of a checkpoint; once it has ended it takes none.
* ``final-N.pt``: the weights after the last epoch, for exporting, never for going on.

What a file holds is `eml_models.training.snapshot`'s business: tensors and plain values, read as data and
never as code. With them each file says whose it is: of which study (its definition's fingerprint and the
instant of its creation, since a later study may have the same name), trial and attempt, and with which
recipe. Only `iter_own` opens a file, and passes on what is this trial's own. Imports no torch until something
is saved or read.

A checkpoint is saved only after the driver has recorded the report of its epoch: going on from it leaves no
epoch without a report. The weights after the last epoch are saved before that epoch's report, since the
driver ends the trial with it.

Nothing but files of these names, and what is left of writing them, is ever removed, damaged or not, and only
in real folders; a folder goes only if it is then empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError
from tune_jobs.checkpoints.places import LocalPlace, place_of
from tune_jobs.errors import StoreError
from tune_jobs.store.files.bucket_places import BucketPlace
from tune_jobs.store.files.protocol import open_files
from tune_jobs.store.files.real_folders import Removal
from tune_jobs.store.format.definitions import read_definition

FOLDER = "checkpoints"
LIVING, EARLIER, FINAL = "attempt", "earlier", "final"
_NAME = rf"(?P<kind>{LIVING}|{EARLIER}|{FINAL})-(?P<attempt>[1-9][0-9]*)\.pt"
FILE_PATTERN = re.compile(_NAME)
HALF_PATTERN = re.compile(rf"\.{_NAME}\.[0-9a-f]{{32}}\.tmp")
"""What `eml_models.whole_files` leaves when it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which of the studies that have had a name, one after the other.

    Attributes:
        fingerprint: of its definition.
        created_at: when the store learned of it, as ISO 8601.
    """

    fingerprint: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one study.

    Attributes:
        store: the store's folder or URL, as every machine of the cluster sees it.
        study: the study's name.
        identity: which study of that name it is; None for whoever only lists and removes files.
    """

    store: str
    study: str
    identity: Identity | None = None

    @classmethod
    def of(cls, store: str, study: str) -> Checkpoints:
        """Those of the study that a store defines.

        Raises:
            StoreError: it defines none of that name, or damaged.
        """
        row = read_definition(open_files(store), study)
        if row is None:
            raise StoreError(f"{store!r} defines no study {study!r}, so there are no checkpoints of it")
        identity = Identity(fingerprint=row.fingerprint, created_at=row.created_at.isoformat())
        return cls(store=store, study=study, identity=identity)

    def save(self, number: int, attempt: int, snapshot: Any, *, recipe: str, final: bool = False) -> None:
        """Write an attempt's snapshot, whole or not at all; its earlier one to go on from stays beside it.

        Args:
            recipe: as JSON, what the attempt was started with.

        Raises:
            OSError: it could not be written; what was there is as it was.
        """
        owned = replace(snapshot, owner=self._owner(number, attempt, recipe))
        name = f"{FINAL if final else LIVING}-{attempt}.pt"
        self._place.save(str(number), name, owned, earlier=None if final else f"{EARLIER}-{attempt}.pt")

    def iter_living(self, number: int, recipes: Mapping[int, str], problems: list[str]) -> Iterator[Path]:
        """Files that a trial can go on from, the newest first: see `iter_own`."""
        return self.iter_own(number, (LIVING, EARLIER), recipes, problems)

    def iter_final(self, number: int, recipes: Mapping[int, str], problems: list[str]) -> Iterator[Path]:
        """Files with a trial's weights after its last epoch, the newest first: see `iter_own`."""
        return self.iter_own(number, (FINAL,), recipes, problems)

    def iter_own(
        self, number: int, kinds: tuple[str, ...], recipes: Mapping[int, str], problems: list[str]
    ) -> Iterator[Path]:
        """The whole files of these kinds that are of this trial of this study, the newest attempt's first.

        Args:
            recipes: what the trial's attempts were started with, as JSON: attempts that are not there have no
                checkpoint.
            problems: takes in words why a file is passed over.

        Raises:
            OSError: the store cannot be read.
        """
        from eml_models.training.snapshot import read_owner

        for name, attempt in self._names(number, kinds):
            where, path = self._place.describe(str(number), name), self._place.fetch(str(number), name)
            try:
                owner = read_owner(path)
            except InvalidValueError as error:
                problems.append(str(error).replace(str(path), where))
                continue
            recipe = recipes.get(attempt)
            differs = "attempt" if recipe is None else self._difference(owner, number, attempt, recipe)
            if differs is None:
                yield path
            else:
                problems.append(f"{where} is of another training (its {differs} differs), so it is not used")

    def has_final(self, number: int) -> bool:
        """Whether there is a file with the weights after the last epoch, whosoever it is."""
        return bool(self._names(number, (FINAL,)))

    def numbers(self) -> list[int]:
        """The trials that have a folder, ascending."""
        return sorted(map(int, self._place.folders()))

    def num_bytes(self, number: int) -> int:
        """The size of a trial's files."""
        return sum(size for name, size in self._place.sizes(str(number)).items() if _is_own(name))

    def remove_living(self, number: int) -> Removal:
        """Remove what an ended trial could have gone on from; its final weights stay."""
        return self._place.remove(str(number), lambda name: _kind_of(name) in (LIVING, EARLIER))

    def remove(self, numbers: Iterable[int]) -> Removal:
        """Remove the files of trials; what is left of them can be removed later.

        Raises:
            OSError: the store cannot be reached.
        """
        return sum((self._place.remove(str(number), _is_own) for number in numbers), Removal())

    def remove_all(self) -> Removal:
        """Remove the files of all trials; names what is foreign.

        Raises:
            OSError: the store cannot be reached, or a link is in the way.
        """
        return self.remove(self.numbers()) + self._place.remove_if_empty()

    def folder(self, number: int) -> Path:
        """Where the files of one trial lie, in a local store."""
        return Path(self.store) / FOLDER / self.study / str(number)

    @property
    def _place(self) -> LocalPlace | BucketPlace:
        return place_of(self.store, f"{FOLDER}/{self.study}")

    def _names(self, number: int, kinds: tuple[str, ...]) -> list[tuple[str, int]]:
        """Files of these kinds with their attempts: the newest attempt first, and of one the first kind."""
        names = self._place.sizes(str(number))
        found = [
            match for name in names if (match := FILE_PATTERN.fullmatch(name)) and match["kind"] in kinds
        ]
        found.sort(key=lambda match: (-int(match["attempt"]), kinds.index(match["kind"])))
        return [(match[0], int(match["attempt"])) for match in found]

    def _owner(self, number: int, attempt: int, recipe: str) -> dict[str, str | int]:
        assert self.identity is not None
        return {
            "study": self.study,
            "fingerprint": self.identity.fingerprint,
            "created_at": self.identity.created_at,
            "trial": number,
            "attempt": attempt,
            "recipe": recipe,
        }

    def _difference(self, owner: Mapping[str, Any], number: int, attempt: int, recipe: str) -> str | None:
        """In what a file's owner is not this attempt; None if it is."""
        expected = self._owner(number, attempt, recipe)
        for name, value in expected.items():
            if owner.get(name) != value and not (name == "recipe" and _is_same_json(owner.get(name), recipe)):
                return {"created_at": "study's creation", "fingerprint": "study's definition"}.get(name, name)
        return None


def _kind_of(name: str) -> str | None:
    """The kind of a file of ours, also of one that was not finished; None for a foreign one."""
    match = FILE_PATTERN.fullmatch(name) or HALF_PATTERN.fullmatch(name)
    return match["kind"] if match else None


def _is_own(name: str) -> bool:
    return _kind_of(name) is not None


def _is_same_json(one: object, other: str) -> bool:
    try:
        return isinstance(one, str) and json.loads(one) == json.loads(other)
    except (ValueError, RecursionError):
        return False
