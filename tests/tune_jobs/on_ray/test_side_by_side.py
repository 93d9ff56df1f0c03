"""One, two and four processes on a card: their pace, and what becomes of it where one dies or is late."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from eml_models.training.device_load import StepLoad
from eml_models.training.recipe import Recipe
from tests.patience import patience_s
from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.gpus.card_program import read_answer, request_text
from tune_jobs.on_ray.gpus.measure import describe_choice
from tune_jobs.on_ray.gpus.share import choose_part
from tune_jobs.on_ray.gpus.side_by_side import CardLoad, Limits, measure_card
from tune_jobs.on_ray.gpus.step_process import StepProcess
from tune_jobs.on_ray.gpus.step_program import GO, STOP, StepRequest

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

GB = 10**9
REQUEST = StepRequest(
    recipe=Recipe(learning_rate=0.1, epochs=2, max_train_samples=64).to_json(),
    code=None,
    where={"device": "cpu"},
)
SHORT = Limits(whole_s=100.0, window_s=0.001)


class Card:
    """Simulated processes on a card, on which `room` of them train at full pace together.

    Args:
        held: how many processes its memory holds.
        room: the number of processes from which on the pace of all together does not grow.
        failures: by the process (from 1) and the number of its answer (from 1), what it fails with.
    """

    def __init__(
        self, *, held: int = 20, room: int = 99, failures: dict[tuple[int, int], str] | None = None
    ) -> None:
        self.load = StepLoad(peak_bytes=8 * GB // 10, beside_bytes=0, total_bytes=held * GB, busy=1.0)
        self.room, self.failures = room, failures or {}
        self.running: set[int] = set()
        self.going: set[int] = set()
        self.started, self.pace_of_each = 0, 0.0

    def start(self, request: StepRequest, measures: bool) -> Any:
        assert request == REQUEST
        assert measures == (self.started == 0)
        self.started += 1
        return Simulated(self, self.started)


class Simulated:
    """One simulated process."""

    def __init__(self, card: Card, number: int) -> None:
        self.card, self.number, self.answers = card, number, 0

    def __enter__(self) -> Simulated:
        self.card.running.add(self.number)
        return self

    def __exit__(self, *error: object) -> None:
        self.card.running.remove(self.number)

    def say(self, line: str) -> None:
        going = self.card.going
        if line == GO:
            assert self.number not in going
            going.add(self.number)
        else:
            assert line == STOP
            self.card.pace_of_each = 1000.0 * min(1.0, self.card.room / len(going))

    def answer(self, limit_s: float) -> dict[str, Any]:
        assert limit_s > 0
        self.answers += 1
        if failure := self.card.failures.get((self.number, self.answers)):
            raise TuneJobsError(failure)
        if self.number in self.card.going:
            self.card.going.remove(self.number)
            return {"pace": {"images": self.card.pace_of_each * 2, "seconds": 2.0}}
        return {"load": asdict(self.card.load)} if self.number == 1 else {"ready": True}


@pytest.mark.parametrize(
    ("held", "room", "paces", "trials"),
    [
        (20, 99, {1: 1000, 2: 2000, 4: 4000}, 8),
        (4, 99, {1: 1000, 2: 2000, 4: 4000}, 4),
        (20, 3, {1: 1000, 2: 2000, 4: 3000}, 4),
        (20, 2, {1: 1000, 2: 2000, 4: 2000}, 2),
        (20, 1, {1: 1000, 2: 1000, 4: 1000}, 1),
        (3, 99, {1: 1000, 2: 2000, 3: 3000}, 3),
        (2, 99, {1: 1000, 2: 2000}, 2),
    ],
)
def test_as_many_train_together_as_memory_holds(
    held: int, room: int, paces: dict[int, float], trials: int
) -> None:
    card = Card(held=held, room=room)
    known = measure_card(REQUEST, SHORT, start=card.start)
    assert known.images_per_s == paces
    assert known.not_together_because is None
    assert round(1 / choose_part(known.load, known.images_per_s).gpus) == trials
    assert card.started == max(paces)
    assert card.running == card.going == set()


@pytest.mark.parametrize("held", [0, 1])
def test_nothing_is_measured_side_by_side_where_memory_holds_a_single_trial(held: int) -> None:
    card = Card(held=held)
    known = measure_card(REQUEST, SHORT, start=card.start)
    assert (known.images_per_s, card.started, card.running) == ({}, 1, set())
    part = choose_part(known.load, known.images_per_s)
    words = "(several side by side were not measured: memory holds one trial): each trial gets a whole GPU"
    assert describe_choice(known, part).endswith(words)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((3, 1), r"process 3 of 4 did not get ready, in 30 s: it died"),
        ((1, 2), "process 1 of 4 side by side failed: it died"),  # in the warm-up of all
        ((2, 3), "process 2 of 2 side by side failed: it died"),
        ((4, 3), "process 4 of 4 side by side failed: it died"),
    ],
)
def test_where_one_dies_or_is_late_the_busy_share_decides_and_the_run_says_so(
    place: tuple[int, int], words: str
) -> None:
    card = Card(failures={place: "it died"})
    known = measure_card(REQUEST, SHORT, start=card.start)
    assert known.images_per_s == {}
    assert known.not_together_because == words
    assert card.running == set()
    part = choose_part(known.load, known.images_per_s)
    assert part == choose_part(known.load)
    assert f"(several side by side were not measured: {words}): 2 trials share a GPU" in describe_choice(
        known, part
    )


def test_a_load_that_could_not_be_measured_is_an_error() -> None:
    card = Card(failures={(1, 1): "it died"})
    with pytest.raises(TuneJobsError, match=r"^it died$"):
        measure_card(REQUEST, SHORT, start=card.start)
    assert card.running == set()


def test_a_time_limit_that_leaves_no_time_for_windows_starts_no_process() -> None:
    card = Card()
    known = measure_card(REQUEST, Limits(whole_s=10.0), start=card.start)
    assert known.not_together_because == "the time limit of a trial leaves no time for it"
    assert card.started == 1


@pytest.mark.parametrize(
    ("whole_s", "first_s", "ready_s"),
    [
        (900.0, 5.0, 30.0),
        (900.0, 40.0, 120.0),  # processes that start together are slower
        (900.0, 800.0, 56.75),  # less 3 windows, their warm-up and the latest of 4 answers
        (90.0, 20.0, 26.75),
        (60.0, 20.0, -3.25),
    ],
)
def test_the_time_to_get_ready_stays_within_the_limit_of_all(
    whole_s: float, first_s: float, ready_s: float
) -> None:
    assert Limits(whole_s=whole_s).ready_s(first_s) == pytest.approx(ready_s)


def test_a_load_crosses_a_pipe() -> None:
    load = StepLoad(peak_bytes=3, beside_bytes=2, total_bytes=9, busy=0.5)
    for known in (
        CardLoad(load=load, images_per_s={1: 10.0, 2: 19.5}),
        CardLoad(load=load, not_together_because="it died"),
    ):
        assert read_answer(json.dumps(known.fields())) == known
    assert read_answer('{"error": "no card"}') == "no card"
    sent = json.loads(request_text(REQUEST, limit_s=9.0))
    assert (StepRequest.of(sent), sent["limit_s"]) == (REQUEST, 9.0)


def test_four_real_processes_train_side_by_side_on_a_cpu() -> None:
    processes: list[StepProcess] = []

    def start(request: StepRequest, measures: bool) -> StepProcess:
        processes.append(StepProcess(request, measures=measures))
        return processes[-1]

    patience = patience_s()
    limits = Limits(whole_s=10 * patience, window_s=0.2, least_ready_s=patience, answer_s=patience)
    known = measure_card(REQUEST, limits, start=start)
    assert known.not_together_because is None
    assert list(known.images_per_s) == [1, 2, 4]
    assert all(pace > 0 for pace in known.images_per_s.values())
    assert [process._process.returncode for process in processes] == [-9] * 4  # they were ended
