"""A study as a caller in Python gives it: the study itself, or its name.

A name is that of a shipped study, ``package.module:function``, ``file.py:function``, or that of a study of
the store. Called by `tune_jobs.on_ray.runner` and `tune_jobs.results`, and by the command line for the words
of a command.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from eml_models.data.file_names import FileSetName
from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.wording import cut
from tune_jobs.errors import StoreError, StoreMissingError
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.inputs.user_code import UserCode, load_study
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.definition import Study
from tune_jobs.study.differences import is_same_file_set
from tune_jobs.study.events import SessionStarted, detail_of
from tune_jobs.study.fits import SHIPPED_FITS
from tune_jobs.study.rows import EventKind, EventRow, Row
from tune_jobs.study.stored import study_from_definition


def find_study(study: Study | str, *, store: str) -> tuple[Study, UserCode | None]:
    """The study, and the user's code behind it, or None where this process has its code already.

    A shipped study comes before a study of the store that has the same name.

    Raises:
        UnknownNameError: neither the program nor the store has a study of this name.
        InvalidValueError: it is neither a study nor a name, its code cannot be loaded, or the store does not
            hold the code that trains it.
        StoreError: the store cannot be read.
    """
    if isinstance(study, Study):
        return study, None
    if not isinstance(study, str):
        way_out = "call the function: run_study(my_study())" if callable(study) else "write Study(...)"
        raise InvalidValueError(f"study must be a Study or a name, got {cut(study)}; {way_out}")
    if ":" in study or study in SHIPPED or study.endswith(".py"):
        return load_study(study)
    return _stored_study(study, store), None


def with_stored_data_name(study: Study, store: str) -> Study:
    """The study with the name that the store has for its data set of files, if that set is the same.

    The name of its files may have changed since. Recipes with one name let trials continue from their
    checkpoints.

    Raises:
        StoreError: the store cannot be read.
    """
    recipe = study.recipe
    if recipe is None or FileSetName.parse(recipe.dataset) is None:
        return study
    stored = TrialStore(store).definition(study.name)["recipe"]
    if not isinstance(stored, Mapping) or not is_same_file_set(stored["dataset"], recipe.dataset):
        return study
    return study.with_changes(recipe=recipe.with_changes(dataset=stored["dataset"]))


def load_target(target: str, *, store: str) -> tuple[Study, UserCode | None]:
    """The study that the words of a command name, and the user's code behind it (`load_study`).

    Raises:
        InvalidValueError: as of `load_study`; where only the store knows the study, says how to name it.
    """
    try:
        return load_study(target)
    except UnknownNameError as error:
        try:
            found = None if ":" in target else _find_in_store(target, store)[0]
        except StoreError:  # of no use here
            found = None
        if found is None:
            raise
        raise InvalidValueError(_describe_stored(found, store)) from error


def _find_in_store(name: str, store: str) -> tuple[StudySnapshot | None, list[str]]:
    """The study of this name as the store has it, or None, and the names that it knows."""
    try:
        opened = TrialStore(store)
        known = list(opened.studies()["study"])
    except StoreMissingError:
        return None, []
    return opened.read(name) if name in known else None, known


def _stored_study(name: str, store: str) -> Study:
    """A study as the store defines it, with the number of trials that its newest run asked for."""
    found, known = _find_in_store(name, store)
    if found is None:
        raise UnknownNameError("study", name, [*SHIPPED, *known])
    if found.definition["fit"] not in SHIPPED_FITS:
        raise InvalidValueError(f"{_describe_stored(found, store)}, or give run_study the Study itself")
    return study_of(found)


def study_of(found: StudySnapshot) -> Study:
    """The study that a store holds; its own training function is there by its name alone.

    Raises:
        InvalidValueError: it needs parts that its own code registers, such as a family of networks.
    """
    study = study_from_definition(found.study, found.definition)
    trials = [run.trials for run in _iter_runs(found.rows) if run.trials is not None]
    return study.with_changes(trials=trials[-1]) if trials else study


def _describe_stored(found: StudySnapshot, store: str) -> str:
    """Why the name of a stored study is not enough to run it, and the words that are."""
    fit = found.definition["fit"]
    if fit in SHIPPED_FITS:
        return (
            f"{found.study!r} is the name of a study of {store!r}, got as that of a shipped study; run it as"
            f" it was begun, by the study that was changed: run STUDY --name {found.study}"
        )
    of_runs = [run.code_words for run in _iter_runs(found.rows) if run.code_words is not None]
    code = shlex.quote(of_runs[-1]) if of_runs else "FILE.py:FUNCTION"
    what = " (its last run named this code)" if of_runs else " (or MODULE:FUNCTION)"
    return (
        f"study {found.study!r} of {store!r} is trained by the function {fit}, and a store holds no code;"
        f" give its code and its name: `run {code} --name {shlex.quote(found.study)}`{what}"
    )


def _iter_runs(rows: Sequence[Row]) -> Iterator[SessionStarted]:
    for row in rows:
        if isinstance(row, EventRow) and row.kind is EventKind.SESSION_STARTED:
            detail = detail_of(row)
            if isinstance(detail, SessionStarted):
                yield detail
