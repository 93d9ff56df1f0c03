"""What becomes of the other cases when one fails, by worker processes that play their answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eml_models.latency.bench import steps
from eml_models.latency.bench.cases import Allocator, Case
from eml_models.latency.bench.processes import Bench
from eml_models.latency.bench.worker import Server
from eml_models.latency.bench.worker_process import WorkerProgram
from eml_models.latency.measuring.modes import PLAIN, parse_mode
from eml_models.networks.words import NetworkSpec


def case(name: str, allocator: Allocator = Allocator.KEEPING) -> Case:
    return Case(
        network=NetworkSpec(name=name, model="small_cnn", input_shape=(1, 8, 8)),
        mode=PLAIN,
        batch_size=1,
        allocator=allocator,
    )


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench("cpu", program=WorkerProgram(module="played_worker")) as one:
        yield one


def test_a_case_that_kills_its_process_takes_no_other_with_it(bench: Bench) -> None:
    first, last = case("first"), case("last")
    opened = bench.open([first, case("dies-in-open"), last])
    assert opened == [first, last]
    bench.time(opened, rounds=2, seconds=0.01)
    assert [bench.result(one).n for one in opened] == [2, 2]
    (reason,) = bench.skipped.values()
    assert "killed by signal 9; if that was for its memory, give smaller --batch-sizes" in reason


def test_a_first_case_that_kills_its_process_is_not_taken_for_one_that_cannot_begin(bench: Bench) -> None:
    last = case("last")
    assert bench.open([case("dies-in-open"), last]) == [last]


def test_a_process_that_dies_within_its_answer_is_lost_like_any_other(bench: Bench) -> None:
    last = case("last")
    assert bench.open([case("dies-in-answer"), last]) == [last]
    (reason,) = bench.skipped.values()
    assert "killed by signal 9" in reason


def test_a_process_that_hangs_is_ended_and_the_others_continue(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = case("first"), case("last")
    bench.open([first])
    with monkeypatch.context() as patch:
        patch.setattr("eml_models.latency.bench.worker_process.PATIENCE_S", 0.01)
        assert bench.open([case("hangs")]) == []
    (reason,) = bench.skipped.values()
    assert reason.startswith("the process that measures ended (it was ended, having said nothing for")
    bench.time(bench.open([first, last]), rounds=1, seconds=0.01)
    assert bench.result(first).n == bench.result(last).n == 1


def test_times_of_another_batch_are_forgotten_where_a_fresh_process_has_room_for_more(bench: Bench) -> None:
    crowded = replace(case("crowded"), batch_size=2)
    killer, *_ = opened = bench.open([case("dies-in-time"), crowded])
    bench.time(opened[::-1], rounds=1, seconds=0.01)
    assert (bench.result(crowded).batch_size, bench.was_timed(killer)) == (1, False)
    bench.time([crowded], rounds=2, seconds=0.01)
    assert (bench.result(crowded).batch_size, bench.result(crowded).n) == (2, 2)


def test_what_was_timed_before_a_process_was_killed_is_kept(bench: Bench) -> None:
    cases = [case("first"), case("dies-in-time"), case("last")]
    bench.time(bench.open(cases), rounds=2, seconds=0.01)
    assert [bench.was_timed(one) for one in cases] == [True, False, True]
    assert [bench.result(one).n for one in cases[::2]] == [2, 2]
    assert list(bench.skipped) == [cases[1].key]


def test_others_of_a_process_that_ended_are_built_anew_when_it_is_their_turn_and_once_at_most(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("PLAYED_LOG", str(log))
    killers = [replace(case("dies-in-time"), batch_size=n) for n in range(1, 5)]
    bench.time([case("first"), *killers, case("last")], rounds=2, seconds=0.01)
    assert [bench.result(case(name)).n for name in ("first", "last")] == [2, 2]
    asked = log.read_text().splitlines()
    assert [asked.count(f"open {name} fp32/nchw/eager") for name in ("first", "last")] == [2, 1]
    assert asked.count("time dies-in-time") == len(killers)


def test_a_second_end_of_a_process_costs_the_others_further_rounds_and_not_their_times(bench: Bench) -> None:
    first, killers = case("first"), [replace(case("dies-in-time"), batch_size=n) for n in (1, 2)]
    for killer in killers:
        bench.time([first, killer], rounds=1, seconds=0.01)
    bench.time([first, case("last")], rounds=2, seconds=0.01)
    found = bench.result(first)
    assert (found.n, bench.result(case("last")).n) == (2, 2)
    (note,) = found.notes
    assert note.endswith("the process that measures ended twice, each time at another case")


@pytest.mark.parametrize("recorded", ["reduce-overhead", "max-autotune/folded"])
def test_graphs_of_a_compiler_share_no_process_with_ours(bench: Bench, recorded: str) -> None:
    graph = replace(case("one"), mode=parse_mode("fp32/graph"))
    compiled = replace(case("one"), mode=parse_mode(f"fp32/{recorded}"))
    bench.time([graph, compiled], rounds=3, seconds=0.01)
    assert [bench.result(one).n for one in (graph, compiled)] == [3, 3]
    assert bench.skipped == {}


def test_a_case_is_prepared_when_it_is_timed_first(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("PLAYED_LOG", str(log))
    bench.time([case("one"), case("two")], rounds=2, seconds=0.01)
    opens = [f"open {name} fp32/nchw/eager" for name in ("one", "two")]
    assert log.read_text().splitlines() == [
        *(opens[0], "time one", opens[1], "time two"),
        *("time one", "time two"),
    ]


def test_a_process_that_ends_by_itself_is_quoted_and_memory_is_not_blamed(bench: Bench) -> None:
    assert bench.open([case("exits")]) == []
    (reason,) = bench.skipped.values()
    assert "(exit code 3: libcuda.so is too old update the driver)" in reason
    assert "memory" not in reason


def test_a_process_that_cannot_even_begin_is_not_started_again_and_others_continue(bench: Bench) -> None:
    bench.open([case("exits", Allocator.DEFAULT), case("second", Allocator.DEFAULT)])
    assert len(bench.skipped) == 2
    assert len(set(bench.skipped.values())) == 1
    other = case("third")
    bench.time(bench.open([other]), rounds=1, seconds=0.01)
    assert bench.result(other).n == 1


def test_a_case_that_breaks_its_process_has_the_others_opened_anew(bench: Bench) -> None:
    cases = [case("first"), case("breaks"), case("skips"), case("last")]
    bench.time(bench.open(cases), rounds=1, seconds=0.01)
    assert bench.skipped == {cases[1].key: "RuntimeError: CUDA error", cases[2].key: "there is none"}
    assert bench.result(cases[0]).n == bench.result(cases[3]).n == 1


def test_a_case_that_fails_in_a_later_round_keeps_its_times_and_says_so(bench: Bench) -> None:
    failing = case("fails-in-time")
    bench.time(bench.open([failing]), rounds=3, seconds=0.01)
    found = bench.result(failing)
    assert (found.n, found.notes) == (1, ("it failed in a later round: RuntimeError: CUDA error",))
    assert bench.skipped == {}


def test_cudnns_search_has_a_process_of_its_own(bench: Bench) -> None:
    cases = [replace(case("one"), kernel_search=search) for search in (True, False)]
    bench.time(bench.open(cases), rounds=1, seconds=0.01)
    assert [bench.result(one).conditions.clock_mhz for one in cases] == [
        1,
        1,
    ]  # each the first of its process


def test_a_clock_is_read_with_the_times_that_it_belongs_to(bench: Bench) -> None:
    cases = [case("one"), case("two")]
    bench.time(bench.open(cases), rounds=1, seconds=0.01)
    assert [bench.result(one).conditions.clock_mhz for one in cases] == [1, 2]


def test_what_a_library_prints_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_VERBOSE", "1")
    with Bench("cpu") as real:
        real.time(real.open([case("small")]), rounds=1, seconds=0.001)
        assert real.result(case("small")).median_ms > 0


def test_what_a_device_does_not_have_is_distinguished_from_what_fails() -> None:
    server = Server(torch.device("cpu"))
    tf32 = replace(case("small"), mode=parse_mode("tf32"))
    answer = server.answer({"do": "open", "case": tf32.as_dict()})
    assert answer["lacking"] is True
    assert "a CPU has none" in answer["skipped"]


def test_a_case_that_a_library_refuses_is_skipped_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused:
        """cuDNN without an engine for a convolution."""

        def __init__(self, *words: object, **options: object) -> None:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED\nat Conv_v8.cpp")

    monkeypatch.setattr(steps, "Prepared", Refused)
    server = Server(torch.device("cpu"))
    answer = server.answer({"do": "open", "case": case("small").as_dict()})
    assert answer == {"skipped": "RuntimeError: cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"}
