"""Makes large stores for the benchmarks: the writer's own files and layout, with plausible values.

Columns are drawn at once with NumPy, since two million rows as Python objects would take minutes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from eml_models.training.recipe import Recipe
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.columns.schema import SCHEMAS
from tune_jobs.store.format.layout import batch_name, new_writer, segment_key
from tune_jobs.store.format.publishing import parquet_bytes
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Choice, Constant, Float
from tune_jobs.study.space import Space

REPORTS = 20
"""Reports of a trial that runs to its end; the average over all trials is close to it."""
ROWS = 64
"""Values of `seq` set aside for a trial."""
OPTIMIZERS = ("sgd", "sgd_momentum", "adam", "adamw", "rmsprop")
STATES = ("completed", "stopped", "failed", "infeasible")
SHARES = (0.3, 0.55, 0.05, 0.1)
AT = np.datetime64("2026-01-01T00:00:00", "us")


def make_store(root: Path, *, studies: int, trials: int) -> list[str]:
    """A store with `studies` studies of `trials` trials each; returns the studies' names."""
    names = [f"study-{number}" for number in range(studies)]
    for number, name in enumerate(names):
        StudyWriter.open(root, study_named(name), versions={}).close()
        tables = draw_tables(name, trials, np.random.default_rng(number))
        for batch, parts in _iter_batches(tables, trials):
            for table, part in parts.items():
                path = root / segment_key(table, name, batch)
                path.write_bytes(parquet_bytes(table, part))
    return names


def study_named(name: str) -> Study:
    """A study over recipes, with the parameters that the rows have."""
    space = Space(
        Choice("optimizer", OPTIMIZERS),
        Float("learning_rate", 1e-4, 1.0, log=True),
        Float("weight_decay", 1e-6, 1e-2, log=True),
        Constant("batch_size", 64),
    )
    return Study(name=name, space=space, recipe=Recipe(learning_rate=0.1, epochs=REPORTS), trials=10**6)


def draw_tables(study: str, trials: int, rng: np.random.Generator) -> dict[str, pa.Table]:
    """The starts, reports and trials of a study; a refused trial has neither start nor reports."""
    number = np.arange(trials)
    state = rng.choice(STATES, size=trials, p=SHARES)
    rate, decay = 10 ** rng.uniform(-4, 0, trials), 10 ** rng.uniform(-6, -2, trials)
    optimizer = rng.choice(OPTIMIZERS, size=trials)
    epochs = np.where(state == "stopped", rng.choice((8, 22, 40), size=trials), REPORTS)
    epochs[state == "infeasible"] = 0
    quality = 1 - np.abs(np.log10(rate) + 2) / 5 + rng.normal(0, 0.02, trials)
    objective = np.clip(quality * epochs / (epochs + 1), 0, 1)
    params = [
        json.dumps(
            {"batch_size": 64, "learning_rate": r, "optimizer": o, "weight_decay": d}, separators=(",", ":")
        )
        for r, o, d in zip(rate.tolist(), optimizer.tolist(), decay.tolist(), strict=True)
    ]
    base = {"study": study, "trial_id": [f"{study}/{n}" for n in number], "number": number, "attempt": 1}
    typed = {
        "params": params,
        "seed": number,
        "param_optimizer": optimizer,
        "param_learning_rate": rate,
        "param_weight_decay": decay,
        "param_batch_size": 64,
    }
    seconds = rng.gamma(4.0, 5.0, trials) * np.maximum(epochs, 1)
    ended = {
        "seq": number * ROWS + ROWS - 1,
        "state": state,
        "reason": np.where(state == "failed", "attempt 1 raised an error: ValueError", "ran all its epochs"),
        "failure": np.where(state == "failed", "raised", None),
        "objective": np.where(np.isin(state, ("failed", "infeasible")), None, objective),
        "epochs": epochs,
        "val_accuracy": np.where(epochs > 0, objective, None),
        "macs": rng.integers(1_000_000, 200_000_000, trials),
        "parameters": rng.integers(10_000, 5_000_000, trials),
        "train_s": seconds * 0.9,
        "device_s": seconds,
        "error": np.where(state == "failed", "ValueError: a layer is missing", None),
        "ended_at": AT + number.astype("timedelta64[s]"),
        "device": "cpu: x86_64",
    }
    started = {"seq": number * ROWS + 1, "history_seq": number * ROWS, "recipe": "{}", "started_at": AT}
    trained = pa.array(state != "infeasible")
    return {
        "starts": _table("starts", trials, {**base, **typed, **started}).filter(trained),
        "reports": _draw_reports(study, epochs, quality, rng),
        "trials": _table("trials", trials, {**base, **typed, **ended}),
    }


def _draw_reports(
    study: str, epochs: np.ndarray[Any, Any], quality: np.ndarray[Any, Any], rng: np.random.Generator
) -> pa.Table:
    number = np.repeat(np.arange(len(epochs)), epochs)
    epoch = np.concatenate([np.arange(1, n + 1) for n in epochs])
    size = len(number)
    accuracy = np.clip(quality[number] * epoch / (epoch + 1) + rng.normal(0, 0.005, size), 0, 1)
    columns = {
        "study": study,
        "trial_id": pa.array([f"{study}/{n}" for n in range(len(epochs))]).take(pa.array(number)),
        "number": number,
        "attempt": 1,
        "seq": number * ROWS + 1 + epoch,
        "epoch": epoch,
        "train_loss": rng.gamma(2.0, 0.3, size),
        "train_accuracy": accuracy,
        "val_loss": rng.gamma(2.0, 0.3, size),
        "val_accuracy": accuracy,
        "learning_rate": rng.uniform(0, 1, size),
        "epoch_s": rng.gamma(4.0, 5.0, size),
        "elapsed_s": epoch * 20.0,
        "samples_per_s": rng.uniform(1e3, 1e5, size),
        "decision": np.where(np.isin(epoch, (2, 6)), "continue", None),
        "decision_reason": np.where(np.isin(epoch, (2, 6)), "rung: among the best", None),
        "reported_at": AT + (number * 60 + epoch).astype("timedelta64[s]"),
    }
    return _table("reports", size, columns)


def _table(table: str, size: int, columns: dict[str, Any]) -> pa.Table:
    """Columns of the table's schema: arrays, one value for all rows, or null where there is none."""
    arrays = []
    for field in SCHEMAS[table]:
        value = columns.get(field.name)
        if value is None or isinstance(value, str | int | np.datetime64):
            value = (
                np.full(size, value, dtype=object) if not isinstance(value, np.datetime64) else [value] * size
            )
        array = value if isinstance(value, pa.Array) else pa.array(value, from_pandas=True)
        arrays.append(array.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=SCHEMAS[table])


def _iter_batches(tables: dict[str, pa.Table], trials: int) -> Iterator[tuple[str, dict[str, pa.Table]]]:
    """What a writer publishes at once: 64 ended trials with their starts and reports."""
    step, writer = PublishPolicy().trials, new_writer(1)
    numbers = {name: table.column("number").to_numpy() for name, table in tables.items()}
    for index, first in enumerate(range(0, trials, step), start=1):
        parts = {}
        for name, table in tables.items():
            low, high = np.searchsorted(numbers[name], (first, first + step))
            if high > low:
                parts[name] = table.slice(low, high - low)
        yield batch_name(writer, index), parts


def count_files(root: Path) -> tuple[int, int]:
    """Published files of a store and their bytes."""
    files = [p for t in ("starts", "reports", "trials", "events") for p in (root / t).rglob("*.parquet")]
    return len(files), sum(path.stat().st_size for path in files)
