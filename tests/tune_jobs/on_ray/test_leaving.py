"""Tune's thread is waited for while its Ray lives, and left when it has died. Starts no Ray."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tune_jobs.errors import RayLostError, RunFailedError
from tune_jobs.on_ray import leaving
from tune_jobs.on_ray.leaving import Turns, finish_or_leave, has_left


class PlayedConnection:
    """A Ray that lives for some looks."""

    def __init__(self, looks: float = float("inf")) -> None:
        self.looks, self.abandoned = looks, False
        self.patience: set[bool] = set()

    def lost(self, *, patient: bool = True) -> str | None:
        self.patience.add(patient)
        self.looks -= 1
        return "Ray has died" if self.looks < 0 else None

    def abandon(self) -> None:
        self.abandoned = True


@pytest.fixture(autouse=True)
def _played_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "LOOK_S", 0.01)
    monkeypatch.setattr(leaving, "ERROR_S", 0.1)
    monkeypatch.setattr(leaving, "_LEFT", threading.Event())


@pytest.fixture
def stuck() -> Iterator[Callable[[], bool]]:
    """A call that returns when the test has ended."""
    end = threading.Event()
    yield end.wait
    end.set()


def raising(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_result_of_the_thread_is_returned() -> None:
    connection = PlayedConnection()
    assert finish_or_leave(lambda: threading.current_thread().name, connection, Turns()) == "tune"
    assert not connection.abandoned
    assert not has_left()


def test_thread_that_is_stuck_in_a_dead_ray_is_left_and_writes_no_row_later(
    stuck: Callable[[], bool],
) -> None:
    connection, turns = PlayedConnection(looks=3), Turns()
    with turns.turn():
        """The thread writes rows."""
    with pytest.raises(RayLostError, match="Ray has died"):
        finish_or_leave(stuck, connection, turns)
    assert connection.abandoned
    assert has_left()
    with pytest.raises(RayLostError, match="has left its Ray"), turns.turn():
        raise AssertionError("the row is written by the caller's thread now")


def test_row_that_is_being_written_is_waited_for() -> None:
    turns, written = Turns(), []
    began, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with turns.turn():
            began.set()
            may_end.wait()
            written.append("row")

    writing = threading.Thread(target=write)
    writing.start()
    began.wait()
    threading.Timer(0.05, may_end.set).start()
    turns.leave()
    assert written == ["row"]
    writing.join()


@pytest.mark.parametrize("error", [ConnectionError("no head"), RunFailedError("5 workers crashed")])
def test_error_of_a_run_whose_ray_has_died_is_that_death(error: Exception) -> None:
    with pytest.raises(RayLostError, match="Ray has died") as raised:
        finish_or_leave(raising(error), PlayedConnection(looks=0), Turns())
    assert isinstance(raised.value, RayLostError)


@pytest.mark.parametrize(
    "error", [ValueError("a callback's"), RunFailedError("5 trials failed"), SystemExit(3)]
)
def test_error_of_a_run_whose_ray_lives_is_raised_unchanged(error: BaseException) -> None:
    connection = PlayedConnection()
    with pytest.raises(type(error)) as raised:
        finish_or_leave(raising(error), connection, Turns())
    assert raised.value is error
    assert not connection.abandoned


@pytest.mark.parametrize(("ends", "abandoned"), [(True, False), (False, True)])
def test_second_signal_ends_the_run_whether_or_not_tune_ends(
    ends: bool, abandoned: bool, stuck: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its usual effect is an error in the thread that waits."""
    monkeypatch.setattr(leaving, "GRACE_S", 60.0 if ends else 0.0)
    connection, turns = PlayedConnection(), Turns()

    def interrupt(*, patient: bool = True) -> None:
        raise KeyboardInterrupt

    def work() -> None:
        while True:
            with turns.turn():
                """A row."""

    monkeypatch.setattr(connection, "lost", interrupt)
    with pytest.raises(KeyboardInterrupt):
        finish_or_leave(work if ends else stuck, connection, turns)
    assert connection.abandoned is abandoned


def test_ray_of_a_run_that_the_user_has_ended_is_judged_without_patience(stuck: Callable[[], bool]) -> None:
    connection = PlayedConnection(looks=2)
    with pytest.raises(RayLostError):
        finish_or_leave(stuck, connection, Turns(), ended=lambda: True)
    assert connection.patience == {False}
