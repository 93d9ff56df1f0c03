"""The user's parts of a study, for other processes: the user's module, and parts registered in the driver.

The driver packs them. A trial, the reading of a data set and a measurement load them before anything else.
"""

from __future__ import annotations

from ray import cloudpickle

from eml_models.data.datasets import custom_datasets, register_dataset
from eml_models.data.file_sets import file_set_of, known_file_sets, register_file_set
from eml_models.errors import InvalidValueError
from eml_models.networks.registry import custom_models, register_model
from eml_models.wording import first_line
from tune_jobs.inputs.user_code import UserCode


def pack_registered(code: UserCode | None) -> bytes:
    """The model families and data sets that this program registered, and its sets of files, pickled.

    None are packed for a user's module but the sets of files: it registers its own when it is loaded.

    Raises:
        InvalidValueError: a part cannot be pickled; says why.
    """
    registered = ([], []) if code else (list(custom_models()), list(custom_datasets()))
    registered[1].extend(known_file_sets())
    try:
        return bytes(cloudpickle.dumps(registered))
    except Exception as error:  # what a part refers to may raise anything while it is pickled
        names = ", ".join(part.name for parts in registered for part in parts)
        raise InvalidValueError(
            f"registered families and data sets ({names}) must be picklable, because workers get a copy of"
            f" them, got {type(error).__name__}: {first_line(error)}; make what their functions need (locks,"
            " files, connections) inside the functions"
        ) from error


def load_parts(code: UserCode | None, registered: bytes) -> None:
    """Register the user's parts in this process; parts that it knows already stay.

    Raises:
        InvalidValueError: the user's module cannot be imported.
    """
    if code is not None:
        code.load()
    models, datasets = cloudpickle.loads(registered)
    known_models = {family.name for family in custom_models()}
    known_datasets = {spec.name for spec in custom_datasets()}
    for family in models:
        if family.name not in known_models:
            register_model(family)
    for spec in datasets:
        if file_set_of(spec.name) is not None:
            register_file_set(spec)
        elif spec.name not in known_datasets:
            register_dataset(spec)
