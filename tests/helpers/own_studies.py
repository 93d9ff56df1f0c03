"""Small studies of own training: params and metrics of any name, costs, saved states, and failures.

They train in this process within milliseconds. Their code is this file, which commands name as
``tests/helpers/own_studies.py:cells``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from tune_jobs import Asha, Choice, Float, Integer, Maximize, Minimize, Space, Study
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.session.attempt import Attempt
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.testing.in_process import OWN, Metrics, play
from tune_jobs.worker.own_attempt import OwnAttempt

FILE = str(Path(__file__).resolve())
"""The place of the code, for the words ``FILE:FUNCTION``."""

SPACE = (
    Float("lr", 1e-3, 1.0, log=True),
    Choice("momentum", ("heavy", "light", "broken")),
    Integer("epochs", 1, 4),
    Choice("model", ("unet", "fcn")),
)


def train(params: dict[str, Any], run: Any) -> Iterator[dict[str, object]]:
    state = run.load() or {"epoch": 0, "weights": torch.zeros(2)}
    for epoch in range(state["epoch"] + 1, run.epochs + 1):
        if params["momentum"] == "broken" and epoch == 2:
            raise ValueError("no such momentum")
        run.save({"epoch": epoch, "weights": torch.full((2,), params["lr"] * epoch)})
        yield {"number": params["lr"] * epoch * params["epochs"], "IoU": 1 - params["lr"] / 2, "note": "ok"}


def train_files(params: dict[str, Any], run: Any) -> Iterator[dict[str, object]]:
    """Saves a folder, as a library does that writes its own files."""
    for epoch in range(1, run.epochs + 1):
        (run.scratch / "model.txt").write_text(f"epoch {epoch}")
        run.save_folder(run.scratch)
        yield {"IoU": params["lr"]}


def cost(params: dict[str, Any]) -> dict[str, float]:
    return {"macs": 1000 * params["epochs"], "memory_gb": params["epochs"] / 2}


def cells() -> Study:
    """One objective, called as a column is; costs and a limit."""
    return Study(
        name="cells",
        space=Space(*SPACE),
        train=train,
        objectives=(Maximize("number"),),
        epochs=9,
        trials=14,
        asha=Asha(min_epochs=1),
        cost=cost,
        limits={"memory_gb": 1.6},
    )


def pair() -> Study:
    """Three objectives, among them a cost; some of its trials fail."""
    return Study(
        name="pair",
        space=Space(*SPACE),
        train=train,
        objectives=(Maximize("IoU"), Minimize("number"), Minimize("memory_gb")),
        epochs=9,
        trials=10,
        asha=Asha(min_epochs=1),
        cost=cost,
    )


def plain() -> Study:
    """No costs at all."""
    return cells().with_changes(name="plain", cost=None, limits=None, trials=6)


def files() -> Study:
    """Keeps folders, and searches a grid."""
    return Study(
        name="files",
        space=Space(Choice("lr", (0.1, 0.5)), Integer("momentum", 1, 2)),
        train=train_files,
        objectives=(Maximize("IoU"),),
        epochs=2,
        trials=4,
        asha=None,
        sampler="grid",
    )


def train_into(store: str, study: Study, **limits: int) -> None:
    """Train a study to its end as one worker and its driver do, with saved states."""
    assert study.train is not None
    with StudyWriter.open(store, study, versions={}) as log:
        checkpoints = Checkpoints.of(store, study.name)
        play(Session(study, log), lambda attempt: reports(study, attempt, checkpoints), **limits)


def reports(study: Study, attempt: Attempt, checkpoints: Checkpoints) -> Iterable[Metrics]:
    assert study.train is not None
    assert isinstance(attempt.recipe, OwnRecipe)
    training = OwnAttempt(
        study.train,
        attempt.recipe,
        number=attempt.number,
        attempt=attempt.attempt,
        checkpoints=checkpoints,
    )
    for report in training.iter_reports():
        seconds = {"epoch": report.epoch, "epoch_s": report.epoch_s, "elapsed_s": report.elapsed_s}
        yield {**seconds, OWN: report.metrics}
