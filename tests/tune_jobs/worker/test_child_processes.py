"""Only the process of the training function reports, saves and loads: a child process gets an error."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from own_attempts import Params, reports_of

from eml_models.errors import InvalidValueError
from tune_jobs import Float, Maximize, Space, Study, TrialStore, run_study
from tune_jobs.worker.trial_run import TrialRun

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12: threads live

CALLS: dict[str, Callable[[TrialRun], object]] = {
    "run.report": lambda run: run.report({"iou": 0.5}),
    "run.save": lambda run: run.save({"epoch": 1}),
    "run.save_folder": lambda run: run.save_folder("."),
    "run.load": lambda run: run.load(),
    "run.load_folder": lambda run: run.load_folder(),
    "run.scratch": lambda run: run.scratch,
}


def in_child(work: Callable[[], object]) -> str:
    """What `work` raises in a child process of `os.fork`, as text; empty if it raises nothing."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return text


def both_kinds(work: Callable[[TrialRun], object]) -> list[Callable[..., Any]]:
    """A generator and a function that do some work before their report."""

    def generator(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        work(run)
        yield {"iou": 0.5}

    def function(params: Params, run: TrialRun) -> None:
        work(run)
        run.report({"iou": 0.5})

    return [generator, function]


@pytest.mark.parametrize("call", CALLS)
def test_each_call_of_a_forked_child_is_an_error_at_once(call: str) -> None:
    said: list[str] = []
    for train in both_kinds(lambda run: said.append(in_child(lambda: CALLS[call](run)))):
        assert reports_of(train) == [(1, {"iou": 0.5})]
    for text in said:
        assert text.startswith(f"InvalidValueError: {call} is for the process of the training function")
        assert "let it send its results back through a queue or a pipe" in text


def test_a_child_of_multiprocessing_gets_the_error_and_may_use_the_scratch_folder() -> None:
    said: list[str] = []

    def work(run: TrialRun) -> None:
        context = multiprocessing.get_context("fork")
        here, there = context.Pipe()
        (run.scratch / "seen").mkdir(exist_ok=True)

        def child(pipe: Connection) -> None:
            (run.scratch / "seen" / "a.txt").touch()
            try:
                run.report({"iou": 0.1})
            except InvalidValueError as error:
                pipe.send(str(error))

        process = context.Process(target=child, args=(there,))
        process.start()
        said.append(here.recv())
        process.join()
        assert (run.scratch / "seen" / "a.txt").exists()

    for train in both_kinds(work):
        assert reports_of(train) == [(1, {"iou": 0.5})]
    assert all("run.report is for the process of the training function" in text for text in said)


def test_results_come_back_through_a_queue() -> None:
    """The pattern that the page on own training shows: rank 0 sends, and the training function reports."""

    def rank(queue: Any, epochs: int) -> None:
        for epoch in range(1, epochs + 1):
            queue.put({"iou": epoch / 10})
        queue.put(None)

    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()
        process = context.Process(target=rank, args=(queue, run.epochs))
        process.start()
        try:
            yield from iter(queue.get, None)
        finally:
            process.kill()
            process.join()

    assert reports_of(train) == [(epoch, {"iou": epoch / 10}) for epoch in range(1, 5)]


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps, copy.copy, copy.deepcopy])
def test_a_run_cannot_be_sent_and_says_why(dumps: Callable[[object], object]) -> None:
    for train in both_kinds(dumps):
        with pytest.raises(InvalidValueError, match=r"cannot be sent to another process, .* Give a child"):
            reports_of(train)


def test_a_spawned_process_that_would_need_a_run_is_not_started() -> None:
    def spawn(run: TrialRun) -> None:
        multiprocessing.get_context("spawn").Process(target=print, args=(run,)).start()

    for train in both_kinds(spawn):
        with pytest.raises(InvalidValueError, match="run cannot be sent to another process"):
            reports_of(train)


def returns(pid: int) -> None:
    """Lets the child go on."""


def raises(pid: int) -> None:
    if pid == 0:
        raise ValueError("of the child")


def exits(pid: int) -> None:
    if pid == 0:
        sys.exit(3)


@pytest.mark.parametrize(
    ("ends", "code", "said"), [(returns, 1, "results back"), (raises, 1, "of the child"), (exits, 3, "")]
)
@pytest.mark.parametrize("kind", [0, 1])
def test_a_forked_child_never_goes_on_as_the_worker(
    ends: Callable[[int], None],
    code: int,
    said: str,
    kind: int,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Else two processes would be the driver of one study."""
    codes: list[int] = []

    def fork(run: TrialRun) -> None:
        pid = os.fork()
        ends(pid)
        if pid:
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    here = os.getpid()
    study = Study(
        name="forks", space=Space(Float("lr", 0.1, 1.0)), train=both_kinds(fork)[kind], epochs=1,
        objectives=(Maximize("iou"),), trials=2, asha=None,
    )  # fmt: skip
    try:
        run_study(study, inline=True, store=str(tmp_path))
    finally:
        if os.getpid() != here:  # the old fault: it must not end as a second pytest
            traceback.print_exc()
            os._exit(99)
    assert codes == [code, code]
    assert said in capfd.readouterr().err
    assert TrialStore(tmp_path).trials("forks")["state"].tolist() == ["completed"] * 2
