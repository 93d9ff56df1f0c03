"""The study of own training on the README's first screen is the example, and runs."""

from __future__ import annotations

import re
from pathlib import Path

from tune_jobs.inputs.user_code import load_study
from tune_jobs.study.rows import State
from tune_jobs.testing.in_process import run_in_process

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "my_loop.py"
FIRST_SCREEN_CHARACTERS = 1000
"""The characters of the README within which the study must begin."""


def test_readme_shows_the_whole_example_on_its_first_screen() -> None:
    readme = (ROOT / "README.md").read_text()
    shown = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert shown is not None
    assert shown.start() < FIRST_SCREEN_CHARACTERS
    assert FILE.read_text().endswith(f'"""\n\n{shown.group(1)}')


def test_example_searches_and_keeps_every_metric() -> None:
    study, _ = load_study(f"{FILE}:study")
    log = run_in_process(study.with_changes(trials=3, epochs=3))
    assert {trial.state for trial in log.trials} <= {State.COMPLETED, State.STOPPED}
    assert all({"accuracy", "loss"} <= set(re.findall(r'"(\w+)"', row.metrics)) for row in log.reports)
    assert max(trial.objective or 0.0 for trial in log.trials) > 0.3
