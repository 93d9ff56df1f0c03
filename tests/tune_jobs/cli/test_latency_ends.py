"""The command ``latency`` is ended, and keeps what it has; its measuring processes play their answers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_testing import Cli

from eml_models.latency.bench.worker_process import WorkerProgram
from eml_models.latency.explaining.campaign import CampaignResult
from tune_jobs import TrialStore
from tune_jobs.cli import latency_commands
from tune_jobs.cli.latency_commands import Storing
from tune_jobs.errors import EXIT_INTERRUPTED, StoreError

NETWORK = "mobilenet:width_mult=0.1,head_channels=8,depths=[1,1,1,1,1,1,1]"
WORDS = ("latency", NETWORK, "--batch-sizes", "1,2", "--modes", "fp32,fp32/channels_last", "--format", "json")


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "eml_models" / "latency")
    monkeypatch.setattr(latency_commands, "program_with", lambda codes: WorkerProgram(module="played_worker"))


def after_each_round(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
    """Call a function with the number of stored rounds after each round."""
    put, rounds = Storing.try_to_put, list[int]()

    def acting(storing: Storing, result: CampaignResult) -> None:
        put(storing, result)
        rounds.append(len(result.timed))
        act(len(rounds))

    monkeypatch.setattr(Storing, "try_to_put", acting)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_one_document_of_what_was_measured_and_stored(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    after_each_round(monkeypatch, lambda done: os.kill(os.getpid(), number) if done == 2 else None)
    usual = signal.getsignal(number)
    code, out, err = cli(*WORDS)
    assert code == EXIT_INTERRUPTED, err
    document = json.loads(out)
    assert document["ended"] == "interrupted"
    assert {entry["n"] for entry in document["measurements"]} == {2}
    rows = TrialStore("trials").latencies()
    assert (len(rows), set(rows["n"])) == (len(document["measurements"]), {2})
    assert signal.getsignal(number) is usual


def test_a_round_is_stored_when_it_has_ended_and_the_next_one_takes_its_place(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, set[int], set[str]]] = []

    def look(done: int) -> None:
        rows = TrialStore("trials").latencies()
        seen.append((len(rows), set(rows["n"]), set(rows["run"])))

    after_each_round(monkeypatch, look)
    assert cli(*WORDS)[0] == 0
    numbers, counts, runs = zip(*seen, strict=True)
    assert len(set(numbers)) == 1
    assert counts == ({1}, {2}, {3}, {4})
    assert len(set.union(*runs)) == 1
    assert len(list(Path("trials").rglob("*.parquet"))) == 1


def test_a_limit_that_is_reached_is_no_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_commands, "parse_network", hanging(latency_commands.parse_network))
    code, out, err = cli("latency", NETWORK, "--modes", "fp32", "--max-minutes", "0.02", "--format", "json")
    assert code == 0, err
    document = json.loads(out)
    assert document["ended"] == "time limit"
    reasons = {entry["reason"] for entry in document["skipped"]}
    assert reasons == {"not measured: the time limit of 0.02 minutes was reached"}
    assert "nothing was measured, so nothing is stored" in err


def hanging(parse: Callable[..., object]) -> Callable[..., object]:
    """Its networks have the name at which a played process says nothing."""
    from dataclasses import replace

    return lambda text: replace(parse(text), name="hangs")  # type: ignore[type-var]  # it is a network


def test_where_a_round_cannot_be_stored_measuring_continues_and_the_end_says_so(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(store: str, rows: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(latency_commands, "append_latencies", failing)
    code, out, err = cli(*WORDS)
    assert code == 1
    assert {entry["n"] for entry in json.loads(out)["measurements"]} == {4}
    assert err.count("this round is not stored: the disk is full") == 4
