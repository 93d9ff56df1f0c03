"""A first signal is noted, a second has its usual effect, and afterwards everything is as before."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tune_jobs.session import ending_signals as module
from tune_jobs.session.ending_signals import EndingSignals, ending_signals

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def usual() -> Iterator[list[int]]:
    """The signals that reached the handlers from before."""
    reached: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, lambda got, frame: reached.append(got))
    yield reached
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time, which stands still until a test moves it."""
    clock = SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_the_second_has_its_usual_effect(
    usual: list[int], seconds: SimpleNamespace, number: signal.Signals
) -> None:
    with ending_signals() as signals:
        assert not signals.arrived
        signal.raise_signal(number)
        assert signals.arrived
        assert usual == []
        seconds.now += 1
        signal.raise_signal(number)
        assert usual == [number]


@pytest.mark.parametrize("again", SIGNALS)
def test_signal_that_comes_twice_at_once_is_one_signal(
    usual: list[int], seconds: SimpleNamespace, again: signal.Signals
) -> None:
    """A sender signals the process and its group, which the process is in."""
    with ending_signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        seconds.now += 0.1
        signal.raise_signal(again)
        assert signals.arrived
        assert usual == []
        seconds.now += 1
        signal.raise_signal(again)
        assert usual == [again]


def test_after_the_block_signals_have_their_usual_effect(usual: list[int]) -> None:
    with pytest.raises(ValueError, match="in the block"), ending_signals():
        raise ValueError("in the block")
    signal.raise_signal(signal.SIGTERM)
    assert usual == [signal.SIGTERM]


def test_second_signal_has_its_usual_effect_although_ray_has_set_a_handler(
    usual: list[int], seconds: SimpleNamespace
) -> None:
    with ending_signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signals.listen()
        seconds.now += 1
        signal.raise_signal(signal.SIGTERM)
    assert usual == [signal.SIGTERM]


def test_outside_the_main_thread_no_handler_is_set(usual: list[int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def listen() -> None:
        signals = EndingSignals()
        signals.listen()
        seen.append(signal.getsignal(signal.SIGTERM))
        signals.restore()

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [before]


def test_closed_terminal_does_not_end_what_runs_below_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_signals() as signals:
            signal.raise_signal(signal.SIGHUP)
            signals.listen()  # again, as after the start of Ray
            signal.raise_signal(signal.SIGHUP)
            assert not signals.arrived
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
