"""The program that trains steps to measure them, and the process as its starter sees it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tests.patience import patience_s
from tune_jobs.errors import TuneJobsError
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.on_ray.gpus.step_process import StepProcess
from tune_jobs.on_ray.gpus.step_program import GO, STOP, StepRequest, serve

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


RECIPE = Recipe(learning_rate=0.1, epochs=2, max_train_samples=64)


def a_request(device: str = "cpu", **fields: Any) -> StepRequest:
    return StepRequest(**{"recipe": RECIPE.to_json(), "code": None, "where": {"device": device}, **fields})


class Lines:
    """Lines that have all arrived already."""

    def __init__(self, *lines: str) -> None:
        self._lines = list(lines)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._lines:
            raise StopIteration
        return self._lines.pop(0)

    def have_next(self) -> bool:
        return bool(self._lines)


def answers(*lines: str) -> list[dict[str, Any]]:
    out = io.StringIO()
    serve(Lines(*lines), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_request_arrives_as_it_was_sent() -> None:
    code = UserCode(module="study", search_paths=("/a", "/b"))
    request = a_request(code=code, registered=b"\x00parts")
    assert StepRequest.of(json.loads(request.text(measures=True))) == request
    assert StepRequest.of(a_request().fields()) == a_request()


def test_it_answers_with_the_load_and_then_with_the_pace_of_each_window() -> None:
    load, *paces = answers(a_request().text(measures=True), GO, STOP, GO, STOP)
    assert 50 << 20 < load["load"]["peak_bytes"] < load["load"]["total_bytes"]
    assert [pace["pace"]["images"] for pace in paces] == [64.0, 64.0]  # a single step, because STOP waits
    assert all(pace["pace"]["seconds"] > 0 for pace in paces)


def test_a_process_that_does_not_measure_says_that_it_is_ready() -> None:
    assert answers(a_request().text(measures=False)) == [{"ready": True}]


def test_parts_that_the_driver_registered_are_loaded_with_the_users_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[tuple[UserCode | None, bytes]] = []
    monkeypatch.setattr(
        "tune_jobs.on_ray.worker.registered.load_parts", lambda code, parts: loaded.append((code, parts))
    )
    code = UserCode(module="no_such_module")
    a_request(code=code, registered=b"parts").load_parts()
    assert loaded == [(code, b"parts")]
    with pytest.raises(InvalidValueError, match="no_such_module"):
        a_request(code=code).load_parts()
    assert len(loaded) == 1


def test_a_data_set_that_the_users_module_registers_is_known_to_the_process_that_trains(
    tmp_path: Path,
) -> None:
    """And needs not be known to the process that sends the request on."""
    module = """
import numpy as np
from eml_models import DatasetSpec, RawDataset, register_dataset

IMAGES = np.arange(80 * 64, dtype=np.uint8).reshape(80, 1, 8, 8)
LABELS = np.arange(80) % 10
RAW = RawDataset(train_images=IMAGES, train_labels=LABELS, test_images=IMAGES, test_labels=LABELS)
register_dataset(
    DatasetSpec(name="digits_again", input_shape=(1, 8, 8), num_classes=10, read=lambda *_: RAW)
)
"""
    (tmp_path / "registers_digits_again.py").write_text(module)
    code = UserCode(module="registers_digits_again", search_paths=(str(tmp_path),))
    recipe = RECIPE.to_json().replace('"digits"', '"digits_again"')
    assert "digits_again" in recipe
    request = StepRequest.of(json.loads(a_request(code=code, recipe=recipe).text(measures=False)))
    with StepProcess(request, measures=False) as process:
        assert process.answer(patience_s()) == {"ready": True}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_failure_is_its_answer() -> None:
    (answer,) = answers(a_request("cuda").text(measures=True), GO, STOP)
    assert "torch sees 0 CUDA devices" in answer["error"]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    def replace(text: str) -> None:
        (tmp_path / "other_program.py").write_text(text)
        monkeypatch.setattr("tune_jobs.on_ray.gpus.step_process.PROGRAM", "other_program")
        monkeypatch.syspath_prepend(str(tmp_path))

    return replace


def test_a_process_that_dies_is_an_error_with_its_last_words(program: Callable[[str], None]) -> None:
    program('import sys\nprint(\'{"ready": true}\', flush=True)\ninput()\nsys.exit("no memory")')
    with StepProcess(a_request(), measures=False) as process:
        assert process.answer(patience_s()) == {"ready": True}
        process.say(GO)
        with pytest.raises(TuneJobsError, match="the process ended with exit code 1: no memory"):
            process.answer(patience_s())
        process.say(STOP)  # nobody reads it


def test_a_process_that_is_late_is_an_error_and_is_ended(program: Callable[[str], None]) -> None:
    program("import time\ntime.sleep(1e6)")
    with (
        StepProcess(a_request(), measures=False) as process,
        pytest.raises(TuneJobsError, match=r"there was no answer for 0\.2 s"),
    ):
        process.answer(0.2)
    assert process._process.returncode == -9
