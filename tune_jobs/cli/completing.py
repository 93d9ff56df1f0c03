"""Types of words that a shell completes, and that help shows where they are few.

The values come from the wing that checks them, and are asked for only by ``--help`` or by a shell. No type
refuses a word: the wing that needs it does, with the way out. Nothing is completed from a bucket or a
cluster, because a shell does not wait for a network. Called by the modules `<x>_verbs`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from eml_models.errors import EmlError
from tune_jobs.cli.shared_options import DEFAULT_STORE, STORE_VARIABLE, WholeFrom, complete_files

BEST = "best"
"""The word for the best trial of a study."""

SLASH = "/"
"""Between a study and one of its trials."""

AT = "@"
"""Stands before the name of a file."""

Ask = Callable[[], Iterable[str]]
"""Returns the values of an option; imports what it needs."""


class OneOf(StringParamType):
    """One of a few values, which help shows."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join(self._ask())}]"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return _matching(self._ask(), incomplete)


class OneOrOwn(StringParamType):
    """One of some values, or a word of the user's own; the help text has the values."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return _matching(self._ask(), incomplete)


class ListOf(StringParamType):
    """Several values with commas between them."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        given = before.split(",")
        offered = _matching((name for name in self._ask() if name not in given), last)
        return [CompletionItem(f"{before}{comma}{item.value}") for item in offered]


class StudyName(StringParamType):
    """A study of the store, or with `shipped` also a shipped study; a file with a study's code else."""

    def __init__(self, *, shipped: bool = False) -> None:
        self._shipped = shipped

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        names = [*_stored_studies(ctx), *(_shipped_studies() if self._shipped else ())]
        return _matching(names, incomplete) or complete_files(ctx, param, incomplete)


class TrialNumber(WholeFrom):
    """The number of a trial, or `BEST`. Trials that kept their weights are completed."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == BEST:
            return value
        if isinstance(value, str) and value[:1].isalpha():
            self.fail(f"a trial is named by its number, or by {BEST}, got {value!r}", param, ctx)
        return super().convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return _matching([BEST, *map(str, _kept_trials(ctx))], incomplete)


class NetworkWord(StringParamType):
    """A network with a name, a family, or a trial of a study of the store."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        trials = (f"{name}{SLASH}{BEST}" for name in _stored_studies(ctx))
        return _matching([*_networks(), *trials], incomplete)


class Sql(StringParamType):
    """A query, or a file that holds it."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        if not incomplete.startswith(AT):
            return []
        place = Path(incomplete.removeprefix(AT))
        folder = place if incomplete.endswith(("/", AT)) else place.parent
        return _matching((f"{AT}{path}" for path in sorted(folder.glob("*.sql"))), incomplete)


def samplers() -> Sequence[str]:
    from tune_jobs.study.method import SamplerName

    return tuple(SamplerName)


def precisions() -> Sequence[str]:
    from eml_models.training.recipe import Precision

    return get_args(Precision)


def kernels() -> Sequence[str]:
    from eml_models.training.kernels import Kernels

    return tuple(Kernels)


def executions() -> Sequence[str]:
    from eml_models.training.execution import Execution

    return tuple(Execution)


def devices() -> Sequence[str]:
    from tune_jobs.session.settings import DEVICES

    return DEVICES


def devices_of_a_process() -> Sequence[str]:
    return [device for device in devices() if device != "auto"]


def datasets() -> Iterable[str]:
    from eml_models.data.datasets import known_datasets
    from eml_models.data.file_names import KINDS

    return (*known_datasets(), *(f"{kind}:" for kind in KINDS))


def objectives() -> Sequence[str]:
    from tune_jobs.study.objective import COSTS, METRICS

    return (*METRICS, *COSTS)


def families() -> Iterable[str]:
    from eml_models.networks.registry import known_models

    return known_models()


def latency_modes() -> Sequence[str]:
    from eml_models.latency.measuring.modes import iter_all_modes

    return ("default", "all", *map(str, iter_all_modes()))


def _networks() -> Iterable[str]:
    from eml_models.networks.words import NAMED

    return dict.fromkeys((*NAMED, *families()))


def _shipped_studies() -> Iterable[str]:
    from tune_jobs.inputs.shipped import SHIPPED

    return SHIPPED


def _stored_studies(ctx: click.Context) -> Sequence[str]:
    """The studies of the store that the words before name; none if it is no readable folder."""
    from tune_jobs.store.files.protocol import is_url, open_files
    from tune_jobs.store.format.layout import STUDIES
    from tune_jobs.store.format.listing import list_studies

    store = _store(ctx)
    try:
        return () if is_url(store) else list_studies(open_files(store), STUDIES).names
    except (EmlError, OSError):
        return ()


def _kept_trials(ctx: click.Context) -> Sequence[int]:
    """The trials of the study before that have a folder of weights."""
    from tune_jobs.checkpoints.files import Checkpoints
    from tune_jobs.store.files.protocol import is_url

    store = _store(ctx)
    try:
        return () if is_url(store) else Checkpoints(store=store, study=ctx.params["study"]).numbers()
    except (EmlError, OSError):
        return ()


def _store(ctx: click.Context) -> str:
    return ctx.params.get("store") or os.environ.get(STORE_VARIABLE) or DEFAULT_STORE


def _matching(values: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(value) for value in dict.fromkeys(values) if value.startswith(incomplete)]
