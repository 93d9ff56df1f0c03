"""The share of a step in which the device computes, on a simulated card and host with one clock."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from played_graph import Played

from eml_models import Recipe, load_dataset
from eml_models.training import step_meter
from eml_models.training.execution import Execution
from eml_models.training.loop import Fit
from eml_models.training.step_meter import LEAST_WINDOW, SAMPLES, SKIPPED, StepMeter

EPOCH = 2 * SKIPPED + SAMPLES + LEAST_WINDOW


class SimulatedCard:
    """A host that queues operators, and a card that computes them in order; seconds from 0.

    Attributes:
        held: how often the card was held back.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = self.device = 0.0
        self.held = 0
        monkeypatch.setattr(step_meter, "time", SimpleNamespace(perf_counter=lambda: self.host))

    def queue(self, *, host_s: float, device_s: float) -> None:
        self.host += host_s
        self.device = max(self.device, self.host) + device_s

    def step(self, *, host_s: float, device_s: float, operators: int) -> Callable[[], None]:
        def step() -> None:
            for _ in range(operators):
                self.queue(host_s=host_s / operators, device_s=device_s / operators)

        return step

    def wait(self) -> None:
        self.host = max(self.host, self.device)

    def mark(self) -> float:
        self.device = max(self.device, self.host)
        return self.device

    def seconds(self, start: float, end: float) -> float:
        assert max(start, end) <= self.host, "the card has not passed the mark"
        return end - start

    def hold_back(self, seconds: float) -> None:
        self.held += 1
        self.device = max(self.device, self.host) + seconds


def measure(meter: StepMeter, card: SimulatedCard, step: Any, *, way: str, steps: int, epochs: int) -> None:
    for _ in range(epochs):
        meter.begin_epoch()
        for _ in range(steps):
            meter.take(step, way=way)
        meter.end_epoch()
        card.wait()
        meter.read()


@pytest.mark.parametrize(
    ("way", "host_ms", "device_ms", "operators", "step_ms", "busy"),
    [
        ("eager", 27.0, 5.4, 589, 27.0, 0.20),
        ("eager", 10.5, 4.56, 278, 10.5, 0.43),
        ("eager", 2.0, 9.0, 278, 9.0, 1.0),  # the card is the limit
        ("graph", 0.05, 5.35, 1, 5.35, 1.0),
        ("graph", 0.5, 0.4, 1, 0.5, 0.8),
    ],
)
def test_busy_share_is_the_cards_own_time_over_the_walls(
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    host_ms: float,
    device_ms: float,
    operators: int,
    step_ms: float,
    busy: float,
) -> None:
    card = SimulatedCard(monkeypatch)
    step = card.step(host_s=host_ms / 1e3, device_s=device_ms / 1e3, operators=operators)
    meter = StepMeter(card)
    measure(meter, card, step, way=way, steps=200, epochs=3)
    assert meter.times is not None
    assert meter.times.step_s == pytest.approx(step_ms / 1e3, rel=0.02)
    assert meter.times.busy == pytest.approx(busy, rel=0.03)
    assert card.held == SAMPLES  # in one epoch alone


def test_holding_steps_back_costs_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedCard(monkeypatch)
    step = card.step(host_s=0.027, device_s=0.005, operators=500)
    measure(StepMeter(card), card, step, way="eager", steps=400, epochs=9)
    assert card.host < 0.027 * (9 * 400 + 4 * SAMPLES + 1)


@pytest.mark.parametrize(("steps", "is_known"), [(EPOCH - 1, False), (EPOCH, True)])
def test_an_epoch_of_few_steps_says_nothing(
    monkeypatch: pytest.MonkeyPatch, steps: int, is_known: bool
) -> None:
    card = SimulatedCard(monkeypatch)
    meter = StepMeter(card)
    step = card.step(host_s=0.001, device_s=0.001, operators=2)
    measure(meter, card, step, way="graph", steps=steps, epochs=2)
    assert (meter.times is not None) == is_known


def test_steps_of_another_way_are_not_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedCard(monkeypatch)
    meter = StepMeter(card)
    eager = card.step(host_s=0.027, device_s=0.005, operators=500)
    measure(meter, card, eager, way="eager", steps=100, epochs=1)
    graph = card.step(host_s=0.0001, device_s=0.005, operators=1)
    measure(meter, card, graph, way="graph", steps=100, epochs=1)
    assert meter.times is not None
    assert meter.times.busy == pytest.approx(1.0)
    assert meter.times.step_s == pytest.approx(0.005)


@pytest.mark.parametrize("fails", ["mark", "seconds", "hold_back"])
def test_a_clock_that_fails_ends_the_measuring_and_not_the_training(
    monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    card = SimulatedCard(monkeypatch)

    def refuse(*_: object) -> float:
        raise RuntimeError("CUDA error: operation not permitted")

    setattr(card, fails, refuse)
    done: list[int] = []
    meter = StepMeter(card)
    measure(meter, card, lambda: done.append(1), way="eager", steps=50, epochs=2)
    assert len(done) == 100
    assert meter.times is None


@pytest.mark.parametrize("execution", list(Execution))
def test_a_training_says_how_busy_its_steps_keep_the_device_and_stays_equal_to_the_bit(
    monkeypatch: pytest.MonkeyPatch, execution: Execution
) -> None:
    """Played on a CPU; each mark is a millisecond after the last, so a step alone takes one."""
    card = SimpleNamespace(now=0.0, hold_back=lambda seconds: None, seconds=lambda start, end: end - start)

    def mark() -> float:
        card.now += 0.001
        return float(card.now)

    card.mark = mark
    recipe = Recipe(learning_rate=0.05, epochs=2, batch_size=40, max_train_samples=1200)
    data = load_dataset(recipe.dataset)
    measured = Fit(recipe, data, capturer=Played(), clock=card, execution=execution)
    plain = Fit(recipe, data, capturer=Played(), execution=execution)
    assert measured.step_times is None
    losses = [report.train_loss for report in measured]
    assert losses == [report.train_loss for report in plain]
    assert plain.step_times is None
    assert measured.step_times is not None
    assert 0 < measured.step_times.busy <= 1


@pytest.mark.gpu
@pytest.mark.parametrize("execution", list(Execution))
def test_busy_share_is_measured_on_a_card(execution: Execution) -> None:
    recipe = Recipe(learning_rate=0.01, epochs=3, batch_size=32)
    training = Fit(recipe, load_dataset(recipe.dataset, device=torch.device("cuda")), execution=execution)
    list(training)
    assert training.step_times is not None
    assert 0 < training.step_times.busy <= 1
    assert 1e-5 < training.step_times.step_s < 1
