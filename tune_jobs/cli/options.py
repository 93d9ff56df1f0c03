"""What several commands share: options, and the command as it was typed. Called by `cli` and its parts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from eml_models.errors import InvalidValueError
from tune_jobs.numbers import read_number, read_whole, way_out


class Whole(click.types.IntParamType):
    """A whole number as `tune_jobs.numbers` reads it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(_read(self, read_whole, value, param, ctx), param, ctx)


class WholeFrom(click.IntRange):
    """The same, not below `min`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(_read(self, read_whole, value, param, ctx), param, ctx)


class Number(click.types.FloatParamType):
    """A number as `tune_jobs.numbers` reads it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(_read(self, read_number, value, param, ctx), param, ctx)


def _read(
    kind: click.ParamType[Any],
    read: Callable[[str], float],
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> Any:
    """A word as a number, or as it is where click refuses it by itself; a default is a number already."""
    if not isinstance(value, str):
        return value
    try:
        return read(value)
    except InvalidValueError as error:
        if way_out(value) or not value.isascii():  # Python would read 1_5 as 15
            kind.fail(str(error), param, ctx)
        return value


FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="How data on stdout is written.",
)
STORE = click.option(
    "--store",
    default="trials",
    envvar="TUNE_JOBS_STORE",
    show_default=True,
    help="Folder or bucket (s3://...) of the trial store (also TUNE_JOBS_STORE).",
)


def typed_command() -> str:
    """The command that was typed, to be shown as the way to go on."""
    import shlex

    from tune_jobs.cli.commands import python_command

    return f"{python_command()} -m tune_jobs {shlex.join(sys.argv[1:])}"
