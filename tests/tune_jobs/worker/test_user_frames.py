"""Which frames of a traceback's text are of the user's code."""

from __future__ import annotations

import os

import pytest

import tune_jobs
from eml_models import errors
from tune_jobs.worker.user_frames import user_frames


@pytest.mark.parametrize(
    ("path", "is_of_user"),
    [
        ("/srv/me/loop.py", True),
        ("/scratch/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_1/loop.py", True),
        ("/tmp/ipykernel_7/33.py", True),
        ("<stdin>", True),
        ("/opt/venv/lib/python3.12/site-packages/torch/nn/modules/linear.py", False),
        ("/usr/lib/python3/dist-packages/yaml/reader.py", False),
        ("/usr/lib/python3.12/json/decoder.py", False),
        ("<frozen importlib._bootstrap>", False),
        (tune_jobs.__file__, False),
        (errors.__file__, False),
    ],
)
def test_only_code_of_the_user_is_a_place_to_look_at(path: str, is_of_user: bool) -> None:
    text = f'Error: no\nTraceback (most recent call last):\n  File "{path}", line 7, in train\n    step()'
    assert user_frames(text, most=3) == ([f"{path}:7 in train"] if is_of_user else [])


def test_the_innermost_frames_are_kept() -> None:
    text = os.linesep.join(f'  File "/me/a.py", line {n}, in f' for n in range(9))
    assert user_frames(text, most=2) == ["/me/a.py:7 in f", "/me/a.py:8 in f"]
