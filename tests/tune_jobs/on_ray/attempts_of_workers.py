"""What a worker gets for an attempt, and the messages that its trainable sends. No Ray is started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eml_models.training.recipe import Recipe
from tune_jobs.checkpoints.files import Checkpoints, Identity
from tune_jobs.on_ray.worker.payload import Payload, build_payload
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.on_ray.worker.trainable import iter_messages
from tune_jobs.session.messages import (
    Message,
)
from tune_jobs.study.definition import Study

RECIPE = Recipe(learning_rate=0.1, epochs=2, max_train_samples=64)


def messages_of(study: Study, folder: Path, **changes: Any) -> list[Message]:
    return list(iter_messages(*trial_of(study, folder, **changes)))


def trial_of(
    study: Study,
    folder: Path,
    *,
    gpus: float = 0,
    number: int = 0,
    attempt: int = 1,
    recipe: str = RECIPE.to_json(),
    acknowledged: Mapping[int, int] | None = None,
    **payload: Any,
) -> tuple[Payload, dict[str, Any]]:
    """What a worker gets for an attempt of a trial."""
    known: dict[str, Any] = {"threads": 1, "device": "cpu", "data_dir": None, "download": False}
    packed = build_payload(
        study,
        None,
        checkpoints=Checkpoints(
            store=str(folder), study=study.name, identity=Identity(fingerprint="f", created_at="now")
        ),
        checkpoint_period_s=payload.pop("period_s", 1e9),
        probe=StoreProbe(store=str(folder), study=study.name, nonce="x"),
        **{**known, **payload},
    )
    config = {"recipe": recipe, "number": number, "attempt": attempt, "acknowledged": acknowledged or {}}
    return packed, {**config, "gpus": gpus}
