"""The data that ``--dataset`` names: a set by name, or a user's files, which are read here.

Called by `resolving` for a study that is to run, and by `finalists_commands` and `network_commands` for the
data of a stored study.
"""

from __future__ import annotations

from eml_models.data.file_names import FileSetName, split_word
from eml_models.data.file_sets import open_file_set
from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs.study.differences import is_same_file_set


def opened(dataset: str | None, data_dir: str | None) -> str | None:
    """The name of a data set, with the files read that ``arrays:FILE.npz`` or ``folder:DIR`` names.

    Raises:
        DatasetMissingError: the files are missing.
        InvalidValueError: they break a rule.
    """
    if dataset is None or split_word(dataset) is None:
        return dataset
    return open_file_set(dataset, data_dir=data_dir).name


def require_data_of(recipe: Recipe, dataset: str | None, data_dir: str | None) -> None:
    """Remember the place of files that ``--dataset`` names, if they are the data of a stored recipe.

    Raises:
        DatasetMissingError: the files are missing.
        InvalidValueError: they are other data, or break a rule.
    """
    given = opened(dataset, data_dir)
    if given is None or given == recipe.dataset or is_same_file_set(given, recipe.dataset):
        return
    raise InvalidValueError(
        f"--dataset must be the data of the study, {_in_words(recipe.dataset)}, got {_in_words(given)}; name"
        " the place of the former, or leave --dataset out"
    )


def _in_words(name: str) -> str:
    named = FileSetName.parse(name)
    return f"data set {name!r}" if named is None else named.describe()
