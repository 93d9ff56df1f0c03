"""A campaign that is to end does so in order, at once, and with what it has."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eml_models.errors import InvalidValueError
from eml_models.latency.bench.cases import Case
from eml_models.latency.bench.ending import End, EndedError, Ending
from eml_models.latency.bench.pace import Pace, describe_left
from eml_models.latency.bench.processes import Bench
from eml_models.latency.bench.worker_process import WorkerProgram
from eml_models.latency.explaining.campaign import Campaign
from eml_models.latency.measuring.modes import PLAIN
from eml_models.networks.words import NetworkSpec, parse_network

PLAYED = WorkerProgram(module="played_worker")


def case(name: str) -> Case:
    network = NetworkSpec(name=name, model="small_cnn", input_shape=(1, 8, 8))
    return Case(network=network, mode=PLAIN, batch_size=1)


def clock_of(*instants: float) -> Callable[[], float]:
    return iter(instants).__next__


def test_a_limit_is_reached_by_the_clock_and_stays() -> None:
    ending = Ending(1.5, clock=clock_of(10.0, 99.0, 100.0, 0.0))
    assert ending.end is End.FINISHED
    assert ending.end is End.TIME_LIMIT
    assert ending.end is End.TIME_LIMIT
    assert ending.reason == "the time limit of 1.5 minutes was reached"
    with pytest.raises(EndedError):
        ending.check()


def test_an_interruption_is_no_limit_and_without_either_there_is_no_end() -> None:
    assert Ending(interrupted=lambda: True).end is End.INTERRUPTED
    assert Ending(60.0, interrupted=lambda: True).end is End.INTERRUPTED
    assert Ending().end is End.FINISHED
    assert Ending().left_s == math.inf
    Ending().check()


@pytest.mark.parametrize("minutes", [0, 0.0, -1, -0.5, math.nan, math.inf])
def test_a_limit_that_is_none_is_refused(minutes: float) -> None:
    with pytest.raises(InvalidValueError, match=r"max_minutes must be above 0, got .*; leave it out"):
        Campaign(networks=(parse_network("resnet18"),), modes=(PLAIN,), batch_sizes=(1,), max_minutes=minutes)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What played processes were asked."""
    path = tmp_path / "log"
    monkeypatch.setenv("PLAYED_LOG", str(path))
    path.touch()
    return path


def test_the_end_does_not_wait_for_a_compiler_and_ends_what_it_started(log: Path) -> None:
    # were it waited for, this test would hang
    ending = Ending(interrupted=lambda: "child" in log.read_text())
    with Bench("cpu", program=PLAYED, ending=ending) as bench:
        bench.time([case("first")], rounds=1, seconds=0.01)
        with pytest.raises(EndedError):
            bench.time([case("hangs")], rounds=1, seconds=0.01)
        assert bench.result(case("first")).n == 1
    (child,) = (int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("child"))
    while not has_ended(child):  # a signal takes a moment; were it not sent, this would never end
        time.sleep(0.01)


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for somebody to read its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_measuring_processes_are_in_a_group_of_their_own_which_ctrl_c_does_not_reach(log: Path) -> None:
    with Bench("cpu", program=PLAYED) as bench:
        bench.time([case("first")], rounds=1, seconds=0.01)
        (worker,) = bench._workers.values()
        assert os.getpgid(worker._process.pid) != os.getpgid(0)


def test_progress_says_how_many_of_how_many_and_the_time_left() -> None:
    message: list[str] = []
    with Bench("cpu", program=PLAYED, on_progress=message.append, ending=Ending(1e-2 + 60)) as bench:
        bench.time([case("first"), case("second"), case("skips")], rounds=2, seconds=0.01)
    assert message[0] == "round 1 of 2, 1 of 3: preparing first fp32/nchw/eager batch 1"
    assert message[1] == "  first fp32/nchw/eager batch 1: 1 ms"
    assert message[2].startswith("round 1 of 2, 2 of 3, about ")
    assert message[2].endswith(" s left: preparing second fp32/nchw/eager batch 1")
    assert message[5] == "  skips fp32/nchw/eager batch 1: there is none"
    assert message[6].startswith("round 2 of 2, 1 of 2, about ")
    assert message[6].endswith(" s left: timing first fp32/nchw/eager batch 1")
    assert len(message) == 7


def test_the_time_left_is_what_timings_took_and_no_more_than_the_limit_leaves() -> None:
    pace = Pace(firsts=[4.0, 6.0], others=[1.0])
    assert pace.estimate_s(10, 20, seconds=0.25) == 70.0
    assert Pace(firsts=[4.0]).estimate_s(1, 8, seconds=0.25) == 6.0
    assert Pace().estimate_s(1, 8, seconds=0.25) is None
    assert describe_left(70.0, math.inf) == ", about 70 s left"
    assert describe_left(70.0, 12.0) == ", about 12 s left"
    assert describe_left(600.0, math.inf) == ", about 10 min left"
    assert describe_left(None, 12.0) == ""
