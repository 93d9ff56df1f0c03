"""Captures on CUDA, with torch's calls of the device replaced: their order, and what a failure leaves."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from eml_models.training import cuda_capture
from eml_models.training.cuda_capture import CudaCapturer

DEVICE = torch.device("cuda", 0)


class Generator:
    """A default generator that a capture takes, and returns only if it succeeds."""

    def __init__(self) -> None:
        self.is_capturing = False

    def clone_state(self) -> str:
        assert not self.is_capturing
        return "before"

    def graphsafe_set_state(self, state: str) -> None:
        assert state == "before"
        self.is_capturing = False


class Card:
    """What torch has of a card, with a log of its calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, ends: bool) -> None:
        self.calls: list[Any] = []
        self.generator = Generator()
        self.replays, self._ends = 0, ends
        for name, value in {
            "Stream": lambda device: Stream(self, "own"),
            "current_stream": lambda device: Stream(self, "outside"),
            "graph_pool_handle": lambda: (0, 1),
            "CUDAGraph": lambda: self,
            "graph": self.graph,
            "device": self.within("device"),
            "stream": self.within("stream"),
            "default_generators": (self.generator,),
            "synchronize": lambda device: self.calls.append("synchronize"),
            "empty_cache": lambda: self.calls.append("empty_cache"),
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: self.calls.append("clear"))
        monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", self.end_pool)
        monkeypatch.setattr(cuda_capture, "_failed", [])

    def within(self, name: str) -> Any:
        @contextmanager
        def entered(value: object) -> Iterator[None]:
            self.calls.append(name)
            yield
            self.calls.append(f"{name} left")

        return entered

    @contextmanager
    def graph(self, graph: object, **options: Any) -> Iterator[None]:
        assert graph is self
        assert options["pool"] == (0, 1)
        assert options["capture_error_mode"] == "thread_local"
        assert not gc.isenabled()
        self.generator.is_capturing = True
        self.calls.append("capture")
        try:
            yield
        finally:
            if not self._ends:
                raise RuntimeError("operation failed due to a previous error during capture")
            self.generator.is_capturing = False

    def end_pool(self, device: int, pool: object) -> None:
        self.calls.append(("end pool", device, pool))
        if self._ends:
            raise RuntimeError("not currently recording to mempool")

    def replay(self) -> None:
        self.replays += 1


class Stream:
    def __init__(self, card: Card, name: str) -> None:
        self.card, self.name = card, name

    def wait_stream(self, other: Stream) -> None:
        self.card.calls.append(f"{self.name} waits for {other.name}")


def test_work_is_on_a_stream_of_its_own_between_that_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch, ends=True)
    with CudaCapturer(DEVICE).working():
        card.calls.append("work")
    assert card.calls == [
        *("device", "own waits for outside", "stream", "work", "stream left", "outside waits for own"),
        "device left",
    ]


def test_a_capture_has_a_workspace_of_its_own_and_returns_its_replay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = Card(monkeypatch, ends=True)
    replay = CudaCapturer(DEVICE).capture(lambda: card.calls.append("work"))
    assert card.calls == ["clear", "capture", "work", "clear"]
    assert gc.isenabled()
    replay()
    assert card.replays == 1


@pytest.mark.parametrize("ends", [True, False], ids=["an error of the code", "an error of CUDA"])
def test_a_failed_capture_raises_its_first_error_and_puts_back_torchs_state(
    monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    card = Card(monkeypatch, ends=ends)

    def work() -> None:
        raise ValueError("the first error")

    with pytest.raises(ValueError, match="the first error"):
        CudaCapturer(DEVICE).capture(work)
    assert card.calls[-1] == ("end pool", 0, (0, 1))
    assert not card.generator.is_capturing
    assert gc.isenabled()
    assert cuda_capture._failed == [card]


def test_memory_of_dropped_graphs_is_freed_when_the_card_is_done_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = Card(monkeypatch, ends=True)
    CudaCapturer(DEVICE).release()
    assert card.calls == ["synchronize", "empty_cache"]
