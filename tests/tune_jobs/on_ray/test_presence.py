"""When a Ray counts as dead: one of our own at once, a cluster's head with patience. Starts no Ray."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from patience import wait_until

from tune_jobs.on_ray.cluster import presence
from tune_jobs.on_ray.cluster.presence import Head, JoinedRay, OwnRay, describe_dashboard
from tune_jobs.on_ray.private import HEAD_PATIENCE, VITAL

posix = pytest.mark.skipif(sys.platform == "win32", reason="starts programs of its own")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def address_of(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


def program(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """A process of this name that ends when its stdin closes."""
    path = folder / name
    path.write_text("#!/bin/sh\nread line\nexit 3\n")
    path.chmod(0o700)
    return subprocess.Popen([str(path)], stdin=subprocess.PIPE)


@posix
@pytest.mark.parametrize("name", VITAL)
@pytest.mark.parametrize("how", ["signal 9 ended it", "it ended with exit code 3"])
def test_ray_of_our_own_is_lost_with_a_vital_process(name: str, how: str, tmp_path: Path) -> None:
    own, process = OwnRay(tmp_path), program(tmp_path, name)
    own.add(process)
    assert own.lost() is None
    if "signal" in how:
        process.kill()
    process.communicate()
    assert own.lost() == f"Ray on this machine has lost its process {name}: {how}"


@posix
def test_ray_of_our_own_lives_without_a_lesser_process(tmp_path: Path) -> None:
    own, process = OwnRay(tmp_path), program(tmp_path, "dashboard")
    own.add(process)
    process.communicate()
    assert own.lost() is None


def test_ray_of_our_own_that_takes_no_connections_is_ending(tmp_path: Path, listener: socket.socket) -> None:
    own = OwnRay(tmp_path)
    own.is_up(address_of(listener))
    assert own.lost() is None
    listener.close()
    said = wait_until(own.lost, "its end was not noticed")
    assert "its control process takes no connections any more" in said


class PlayedHead:
    """A head that answers as it is told, and the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.problem, self.asked = 0.0, None, 0
        self.problem: OSError | None = None

        def connect(address: object, timeout: float) -> SimpleNamespace:
            self.asked += 1
            if isinstance(self.problem, TimeoutError):
                self.now += timeout
            if self.problem:
                raise self.problem
            return SimpleNamespace(close=lambda: None)

        monkeypatch.setattr(presence.socket, "create_connection", connect)
        monkeypatch.delenv(HEAD_PATIENCE, raising=False)

    def seconds_to_loss(self, joined: JoinedRay, *, limit_s: float = 1000.0) -> float | None:
        began = self.now
        while self.now - began < limit_s:
            if joined.lost():
                return self.now - began
            self.now += 0.1
        return None


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> PlayedHead:
    return PlayedHead(monkeypatch)


def joined_to(head: PlayedHead) -> JoinedRay:
    return JoinedRay("10.0.0.5:6379", clock=lambda: head.now)


@pytest.mark.parametrize(
    ("problem", "patience", "seconds"),
    [
        (ConnectionRefusedError("refused"), None, 10),
        (TimeoutError("timed out"), None, 45),
        (OSError("no route to host"), None, 45),
        (ConnectionRefusedError("refused"), "600", 10),
        (TimeoutError("timed out"), "600", 450),
        (ConnectionRefusedError("refused"), "10", 7.5),
    ],
)
def test_head_is_lost_after_our_patience_and_before_rays(
    head: PlayedHead, problem: OSError, patience: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if patience:
        monkeypatch.setenv(HEAD_PATIENCE, patience)
    joined = joined_to(head)
    assert head.seconds_to_loss(joined, limit_s=5) is None
    head.problem = problem
    found = head.seconds_to_loss(joined)
    assert found is not None
    assert seconds <= found <= seconds + 4
    assert found < float(patience or 60)


def test_cut_of_twenty_seconds_is_ridden_out(head: PlayedHead) -> None:
    joined = joined_to(head)
    for _ in range(5):
        head.problem = TimeoutError("timed out")
        assert head.seconds_to_loss(joined, limit_s=20) is None
        head.problem = None
        assert head.seconds_to_loss(joined, limit_s=3) is None


def test_process_that_was_stopped_for_minutes_asks_again_first(head: PlayedHead) -> None:
    joined = joined_to(head)
    head.problem = TimeoutError("the network is not up again yet")
    assert joined.lost() is None
    head.now += 600
    assert joined.lost() is None
    head.problem = None
    assert head.seconds_to_loss(joined, limit_s=10) is None


def test_head_without_an_answer_is_lost_at_once_for_the_impatient(head: PlayedHead) -> None:
    joined = joined_to(head)
    assert joined.lost(patient=False) is None
    head.problem = ConnectionRefusedError("refused")
    said = joined.lost(patient=False)
    assert said == "the head of the cluster at 10.0.0.5:6379 does not answer any more: refused"


def test_head_is_asked_once_a_second(head: PlayedHead) -> None:
    asked = Head("10.0.0.5:6379", clock=lambda: head.now)
    for _ in range(100):
        asked.ask()
        head.now += 0.1
    assert 9 <= head.asked <= 11


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (None, None),
        ("10.0.0.5:8265", "the Ray dashboard shows this run: http://10.0.0.5:8265"),
        (
            "127.0.0.1:8265",
            "the Ray dashboard shows this run: http://127.0.0.1:8265 on the machine of the head",
        ),
        ("localhost:80", "the Ray dashboard shows this run: http://localhost:80 on the machine of the head"),
    ],
)
def test_the_dashboard_is_named_where_there_is_one(address: str | None, words: str | None) -> None:
    assert describe_dashboard(address) == words


@pytest.mark.parametrize("address", [None, "", "10.0.0.5:8265"])
def test_a_joined_ray_knows_its_dashboard(address: str | None) -> None:
    assert JoinedRay("10.0.0.5:6379", dashboard=address).dashboard == (address or None)
    assert OwnRay.dashboard is None
