"""A study as a caller in Python gives it: the study itself, or its name.

A name is that of a shipped study, ``package.module:function``, ``file.py:function``, or that of a study of
the store. Called by `tune_jobs.on_ray.runner`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eml_models.data.file_names import FileSetName
from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.wording import cut
from tune_jobs.errors import StoreMissingError
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.inputs.user_code import UserCode, load_study
from tune_jobs.store.reader import TrialStore
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


def _stored_study(name: str, store: str) -> Study:
    """A study as the store defines it, with the number of trials that its newest run asked for."""
    try:
        opened = TrialStore(store)
        known = list(opened.studies()["study"])
    except StoreMissingError:
        known = []
    if name not in known:
        raise UnknownNameError("study", name, [*SHIPPED, *known])
    found = opened.read(name)
    if found.definition["fit"] not in SHIPPED_FITS:
        raise InvalidValueError(
            f"study {name!r} of {store!r} is trained by the function {found.definition['fit']}, and a store"
            " holds no code; give run_study the Study itself, or its place: FILE.py:FUNCTION"
        )
    study = study_from_definition(name, found.definition)
    trials = _trials_asked(found.rows)
    return study if trials is None else study.with_changes(trials=trials)


def _trials_asked(rows: Sequence[Row]) -> int | None:
    """The number of trials that the newest run asked for."""
    asked = None
    for row in rows:
        if isinstance(row, EventRow) and row.kind is EventKind.SESSION_STARTED:
            detail = detail_of(row)
            if isinstance(detail, SessionStarted) and detail.trials is not None:
                asked = detail.trials
    return asked
