"""The load of a training step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eml_models.training.device_load import Pace
from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe
from eml_models.training.step_load import QUEUED_STEPS, TriedSteps, measure_step_load, tried_steps

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_load_of_a_step_is_measured() -> None:
    found = measure_step_load(Recipe(learning_rate=0.1, epochs=1), device="cpu")
    assert 50 << 20 < found.peak_bytes < found.total_bytes
    assert (found.beside_bytes, found.busy) == (0, 1.0)


def after(count: int) -> Callable[[], bool]:
    """False, until it is asked for this time."""
    asked: list[None] = []
    return lambda: asked.append(None) or len(asked) >= count


def test_the_pace_of_steps_in_a_row_counts_their_images() -> None:
    recipe = Recipe(learning_rate=0.1, epochs=1, batch_size=100)
    assert fit(recipe).mean_batch_size == 1151 / 12
    with tried_steps(recipe, device="cpu") as steps:
        steps.prepare()
        pace = steps.train_until(after(3))
    assert pace.images == pytest.approx(3 * 1151 / 12)
    assert pace.seconds > 0


def test_steps_in_a_row_on_a_card_are_never_queued_far_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the card would work on for long after the window, beside nobody."""
    waiting: list[Any] = []
    longest: list[int] = []

    def make_event() -> Any:
        event = SimpleNamespace(record=lambda: waiting.append(event))
        event.synchronize = lambda: waiting.__delitem__(slice(waiting.index(event) + 1))
        return event

    monkeypatch.setattr(torch.cuda, "Event", make_event)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: waiting.clear())
    training: Any = SimpleNamespace(mean_batch_size=2.5)
    cuda = torch.device("cuda")
    steps = TriedSteps(
        training, device=cuda, step=lambda: longest.append(len(waiting)), validate=lambda: None
    )
    pace = steps.train_until(after(100))
    assert pace == Pace(images=250.0, seconds=pace.seconds)
    assert max(longest) == QUEUED_STEPS
    assert waiting == []
