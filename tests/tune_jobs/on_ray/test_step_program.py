"""The program that measures a step: its request and its answer."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch

from eml_models.training.recipe import Recipe
from eml_models.training.step_load import StepLoad
from tune_jobs.on_ray.gpus.step_program import _answer, read_answer, request_text

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


RECIPE = Recipe(learning_rate=0.1, epochs=2, max_train_samples=64)


def test_the_measuring_program_answers_in_json() -> None:
    text = request_text(RECIPE, None, data_dir=None, download=False, kernels="default", execution="auto")
    if not torch.cuda.is_available():
        assert "torch sees 0 CUDA devices" in str(read_answer(json.dumps(_answer(json.loads(text)))))
    load = StepLoad(peak_bytes=3, beside_bytes=2, total_bytes=9, busy=0.5)
    assert read_answer(json.dumps(asdict(load))) == load
