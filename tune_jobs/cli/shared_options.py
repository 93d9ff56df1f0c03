"""Numbers as types of options, options of several verbs, and a verb's options as one value.

Called by the modules `<x>_verbs`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click
from click.shell_completion import CompletionItem

from eml_models.errors import InvalidValueError
from tune_jobs.report.formats import FORMATS, TABLE
from tune_jobs.study.written_numbers import read_number, read_whole, way_out


class Whole(click.types.IntParamType):
    """A whole number as `tune_jobs.study.written_numbers` reads it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(_read(self, read_whole, value, param, ctx), param, ctx)


class WholeFrom(click.IntRange):
    """A whole number that is not below `min`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(_read(self, read_whole, value, param, ctx), param, ctx)


class Number(click.types.FloatParamType):
    """A number as `tune_jobs.study.written_numbers` reads it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(_read(self, read_number, value, param, ctx), param, ctx)


class StorePath(click.types.StringParamType):
    """A store: a folder or a bucket. A file URL becomes its folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from tune_jobs.store.files.file_urls import as_folder

        text = super().convert(value, param, ctx)
        try:
            return as_folder(text)
        except InvalidValueError as error:
            self.fail(str(error), param, ctx)


def _read(
    kind: click.ParamType[Any],
    read: Callable[[str], float],
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> Any:
    """Read a word as a number; leave it to click if click refuses it. A default is a number already."""
    if not isinstance(value, str):
        return value
    try:
        return read(value)
    except InvalidValueError as error:
        if way_out(value) or not value.isascii():  # Python would read 1_5 as 15
            kind.fail(str(error), param, ctx)
        return value


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete files."""
    return [CompletionItem(incomplete, type="file")]


def complete_folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete folders."""
    return [CompletionItem(incomplete, type="dir")]


FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=TABLE,
    show_default=True,
    help="Form of the data on stdout.",
)
DEFAULT_STORE, STORE_VARIABLE = "trials", "TUNE_JOBS_STORE"
DATA_DIR = click.option(
    "--data-dir",
    metavar="DIR",
    help="Folder with the data sets, except digits (also TUNE_JOBS_DATA_DIR); default: data.",
    envvar="TUNE_JOBS_DATA_DIR",
    shell_complete=complete_folders,
)

STORE = click.option(
    "--store",
    type=StorePath(),
    default=DEFAULT_STORE,
    envvar=STORE_VARIABLE,
    show_default=True,
    metavar="PATH",
    shell_complete=complete_folders,
    help="Folder or bucket (s3://...) of the store (also TUNE_JOBS_STORE).",
)


def packed(kind: type[Any]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Hand a verb its options as one value: ``options``, a dataclass of `kind` with a field for each.

    An option for which the verb has a parameter of its own stays out of that value.
    """

    def decorate(verb: Callable[..., int]) -> Callable[..., int]:
        own = set(inspect.signature(verb).parameters)
        names = {field.name for field in fields(kind)} - own

        @functools.wraps(verb)
        def call(*args: Any, **given: Any) -> int:
            values = {name: given.pop(name) for name in names & given.keys()}
            return verb(*args, **given, options=kind(**values))

        return call

    return decorate
