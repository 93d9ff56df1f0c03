"""One trial of a study's results, and the weights that it kept. Made by `of_study`.

torch is imported only where weights are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.wording import listed
from tune_jobs.errors import StoreError
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import Row, StartRow, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a trial kept after its last report.

    Attributes:
        path: its file on this machine; of a store in a bucket, a copy.
        is_own: whether own training saved it, by ``run.save`` or ``run.save_folder``.
    """

    path: Path
    is_own: bool

    def load(self) -> Any:
        """The trained network, in eval mode on the CPU; of own training the state that ``run.save`` took.

        The network takes images as their data set stores them (`eml_models.load_trained`).

        Raises:
            InvalidValueError: the file is damaged, the family of the network is not registered in this
                process, or own training saved a folder alone.
        """
        if not self.is_own:
            from eml_models.training.snapshot import load_trained

            return load_trained(self.path)
        saved = self._saved()
        if saved.state is None:
            raise InvalidValueError("the trial saved a folder alone; write it with weights.unpack(FOLDER)")
        return saved.state

    def unpack(self, folder: str | os.PathLike[str]) -> Path:
        """Write the files that ``run.save_folder`` took to a new folder.

        Raises:
            InvalidValueError: the trial saved no folder, or the place exists already.
        """
        from tune_jobs.worker.saved_state import write_folder

        target = Path(folder)
        saved = self._saved() if self.is_own else None
        if saved is None or saved.folder is None:
            raise InvalidValueError("the trial saved no folder; read its weights with weights.load()")
        if target.exists():
            raise InvalidValueError(f"there is already something at {str(target)!r}; name a new folder")
        write_folder(saved, target)
        return target

    def _saved(self) -> Any:
        from tune_jobs.worker.saved_state import read_state

        return read_state(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The place of a study's weights, and whose they are.

    Attributes:
        store: the store's folder or URL.
        rows: the study's rows, which name the recipe of each attempt.
        is_own: whether the study trains by its own function.
    """

    store: str
    study: str
    rows: Sequence[Row]
    is_own: bool

    def find(self, number: int) -> tuple[Weights | None, str | None]:
        """The weights of a trial, or None and the reason.

        Raises:
            StoreError: the store cannot be read.
        """
        recipes = {
            row.attempt: row.recipe for row in self.rows if isinstance(row, StartRow) and row.number == number
        }
        if not recipes:
            return None, "it was never trained"
        from tune_jobs.checkpoints.files import Checkpoints

        problems: list[str] = []
        checkpoints = Checkpoints.of(self.store, self.study)
        try:
            path = next(checkpoints.iter_final(number, recipes, problems, read_owner=self._owner()), None)
            others = [] if path else [n for n in checkpoints.numbers() if checkpoints.has_final(n)]
        except OSError as error:
            raise StoreError(f"the weights in {self.store!r} cannot be read: {error}") from error
        if path is not None:
            return Weights(path=path, is_own=self.is_own), None
        if problems:
            return None, "; ".join(problems)
        kept = listed([str(n) for n in others if n != number]) or "none"
        what = "saved no state, or a better trial took its place" if self.is_own else "is not among the best"
        return None, (
            f"its weights were not kept, because it {what}; trials that kept theirs: {kept}. Runs with a"
            " larger keep_checkpoints keep those of more trials"
        )

    def _owner(self) -> Any:
        """The reader of a file's owner; None for that of a snapshot."""
        if not self.is_own:
            return None
        from tune_jobs.worker.saved_state import owner_of_state

        return owner_of_state


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """A trial that has ended.

    Attributes:
        number: its order of proposal.
        state: how it ended; `reason` says why, in words.
        params: the values of the space, by name.
        value: the first objective at its last epoch; None if it has none.
        values: all objectives by name, without those that it lacks.
        epochs: how many epochs it reported.
        kept: what leads to its weights; read `weights`.
    """

    number: int
    state: State
    reason: str
    params: Params
    value: float | None
    values: Mapping[str, float]
    epochs: int
    kept: Kept = field(repr=False, compare=False)

    @property
    def weights(self) -> Weights | None:
        """What it kept after its last epoch; None if it kept nothing, and `no_weights` says why.

        Raises:
            StoreError: the store cannot be read.
        """
        return self._found[0]

    @property
    def no_weights(self) -> str | None:
        """Why it kept no weights, in words; None if it did."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[Weights | None, str | None]:
        return self.kept.find(self.number)
