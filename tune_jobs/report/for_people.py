"""A table of trials as people read it: shared params once above all rows, a row's own params below it.

JSON and CSV hold the table unchanged; only the text is made from this form. Called by `documents`;
`leaderboard`, `front` and `finalists` use its parts.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from eml_models.data.datasets import get_dataset_spec
from eml_models.errors import UnknownNameError
from eml_models.networks.words import CIFAR_SHAPE, NetworkSpec, name_network
from tune_jobs.report.column_numbers import whole
from tune_jobs.report.tables import Table
from tune_jobs.study.bindings import OF_THE_STUDY, RECIPE_FIELDS
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.rows import State

TRIAL, PARAMS, NETWORK = "trial", "params", "network"
METRICS = "metrics"
"""The column of the metrics of own training, as JSON."""

EPOCHS, OF = "epochs", "of"
EARLY = "of a trial with fewer epochs than the study has, the training function returned early"

MAX_VALUE = 40
"""Most characters of a param or metric in a table for people. A network is whole, because people paste it."""

MODEL = "model"


def name_networks(starts: pd.DataFrame, numbers: Iterable[int]) -> dict[int, str]:
    """The networks of trials by number, in the words that ``--baseline`` and `latency` take.

    They come from the trained recipes, so that they hold a width that followed from `macs_share`.
    """
    recipes = dict(zip(starts["number"], starts["recipe"], strict=True))
    parsed = {number: parse_object(recipes[number]) for number in numbers if number in recipes}
    return {number: network_words(recipe) for number, recipe in parsed.items() if recipe.keys() >= NAMED}


NAMED = {MODEL, "dataset", "model_options"}
"""Fields of a recipe from which its network is named."""


def network_words(recipe: Mapping[str, Any]) -> str:
    """The network of a recipe, given as plain data, in words."""
    try:
        shape = get_dataset_spec(recipe["dataset"]).input_shape
    except UnknownNameError:  # of code that is not loaded here; only rounding depends on it
        shape = CIFAR_SHAPE
    options = recipe["model_options"]
    return name_network(NetworkSpec(name="", model=recipe[MODEL], options=options, input_shape=shape))


def for_people(table: Table, trials: pd.DataFrame, *, of: int | None = None) -> Table:
    """The table with the params and the network of each row below it, and shared params above all rows.

    Metrics of own training stand below too, without those that have a column. A param that shapes the network
    is left out, because the network's words hold it.

    Args:
        table: a table with the columns `TRIAL`, `PARAMS` and `NETWORK`.
        trials: the frame from which it was made.
        of: the epochs after which a trial of own training is complete; a column has them if one has fewer.
    """
    table = _with_epochs_asked(table, trials, of)
    index = table.columns.index
    stored = dict(zip(trials["number"], trials["params"], strict=True))
    networks = [row[index(NETWORK)] for row in table.rows]
    own: list[dict[str, str]] = []
    for row, network in zip(table.rows, networks, strict=True):
        params = parse_object(stored[row[index(TRIAL)]])
        own.append({n: short(v) for n, v in params.items() if network is None or not shapes_network(n)})
    same = shared(own)
    one_network = len(table.rows) > 1 and len(set(networks)) == 1 and networks[0] is not None
    rows = []
    for row, params, network in zip(table.rows, own, networks, strict=True):
        cells = list(row)
        if METRICS in table.columns:
            cells[index(METRICS)] = _metrics_in_words(str(row[index(METRICS)]), table)
        cells[index(PARAMS)] = words_of({n: v for n, v in params.items() if n not in same}) or None
        cells[index(NETWORK)] = None if network is None else shlex.quote(str(network))
        rows.append(tuple(cells))
    said = " ".join([words_of(same), *([f"{NETWORK}={networks[0]}"] if one_network else [])]).strip()
    notes = [f"the same in all: {said}"] if said else []
    notes += [EARLY] if OF in table.columns else []
    if any(":" in str(network) for network in networks) and not one_network:
        notes.append("each network is in the words that --baseline takes")
    whole = replace(table, rows=tuple(rows), below=(PARAMS, NETWORK, METRICS), note="; ".join(notes))
    return whole.without(NETWORK) if one_network or not any(networks) else whole


def _with_epochs_asked(table: Table, trials: pd.DataFrame, of: int | None) -> Table:
    """The table with a column for the epochs of the study, if a completed trial in it has fewer."""
    early = trials[(trials["state"] == State.COMPLETED) & (trials["epochs"] < (of or 0))]
    if EPOCHS not in table.columns or early.empty:
        return table
    number, at = table.columns.index(TRIAL), table.columns.index(EPOCHS) + 1
    if not {row[number] for row in table.rows} & set(early["number"]):
        return table
    rows = tuple((*row[:at], of, *row[at:]) for row in table.rows)
    return replace(table, columns=(*table.columns[:at], OF, *table.columns[at:]), rows=rows)


def _metrics_in_words(text: str, table: Table) -> str | None:
    """Metrics as words, without those that are in a column."""
    columns = {column.removeprefix("metric_") for column in table.columns} - {PARAMS, NETWORK, METRICS}
    metrics = {name: value for name, value in parse_object(text).items() if name not in columns}
    shown = {name: "-" if value is None else short(whole(value)) for name, value in metrics.items()}
    return words_of(shown) or None


def shapes_network(name: str) -> bool:
    """Whether a param of this name is in the network's words."""
    return name == MODEL or name not in RECIPE_FIELDS | OF_THE_STUDY


def shared(rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Names and values that all rows share; none for a single row."""
    if len(rows) < 2:
        return {}
    first, *others = rows
    return {n: v for n, v in first.items() if all(other.get(n) == v for other in others)}


def words_of(params: Mapping[str, str]) -> str:
    """The params as words ``NAME=VALUE``; JSON and CSV have a long value whole."""
    return " ".join(f"{name}={clipped(value)}" for name, value in params.items())


def clipped(text: str) -> str:
    """A text of at most `MAX_VALUE` characters; the rest of a longer one becomes three dots."""
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 3]}..."


def short(value: object) -> str:
    """A value as a short text: a number with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
