"""The segmentation example: each version runs, and `docs/own-training.md` quotes the lines that each adds."""

from __future__ import annotations

import ast
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from documents import ROOT, page

from tune_jobs.checkpoints.files import Checkpoints, Identity
from tune_jobs.inputs.user_code import load_study
from tune_jobs.study.definition import Study
from tune_jobs.study.rows import State
from tune_jobs.testing.in_process import run_in_process
from tune_jobs.worker.own_attempt import OwnAttempt

FOLDER = ROOT / "examples" / "segmentation"
OWN_TRAINING = page("own-training")
ADDED = {"ours.py": 12, "with_ray_tune.py": 20, "with_optuna.py": 27}
"""The lines of each version that are not in `plain.py`, new and changed ones."""


def code_lines(name: str) -> list[str]:
    """The lines of a version, less its docstring and the blank lines."""
    text = (FOLDER / name).read_text()
    docstring = ast.parse(text).body[0]
    return [line for line in text.splitlines()[docstring.end_lineno :] if line.strip()]


def added_lines(name: str) -> list[str]:
    lines = difflib.unified_diff(code_lines("plain.py"), code_lines(name), n=0, lineterm="")
    return [line for line in lines if line.startswith("+") and not line.startswith("+++")]


@pytest.mark.parametrize("name", ADDED)
def test_added_lines_are_as_many_as_the_readme_says(name: str) -> None:
    added = added_lines(name)
    assert len(added) == ADDED[name], "\n".join(added)
    assert re.search(rf"\(\.\./examples/segmentation/{name}\) \| {len(added)} \|", OWN_TRAINING)


def test_ours_adds_twelve_lines_at_most_and_one_statement_on_each() -> None:
    assert len(added_lines("ours.py")) <= 12
    assert not [line for line in added_lines("ours.py") if ";" in line or len(line) > 111]


def ours(**changes: object) -> Study:
    return load_study(f"{FOLDER / 'ours.py'}:study")[0].with_changes(**changes)


def test_ours_searches() -> None:
    log = run_in_process(ours(trials=4, epochs=4))
    assert len(log.trials) == 4
    assert {trial.state for trial in log.trials} <= {State.COMPLETED, State.STOPPED}
    assert [report.metrics.count('"dice"') for report in log.reports] == [1] * len(log.reports)
    assert all(0 <= trial.objective <= 1 for trial in log.trials if trial.objective is not None)


def test_ours_continues_a_killed_trial(tmp_path: Path) -> None:
    study = ours()
    assert study.train is not None
    recipe = study.own_recipe_for({"lr": 0.01, "depth": 1}, 0)
    identity = Identity(fingerprint=study.fingerprint(), created_at="2026-01-01")
    checkpoints = Checkpoints(store=str(tmp_path), study=study.name, identity=identity)
    first = OwnAttempt(study.train, recipe, number=0, checkpoints=checkpoints).iter_reports()
    assert [next(first).epoch, next(first).epoch] == [1, 2]
    first.close()
    second = OwnAttempt(
        study.train, recipe, number=0, checkpoints=checkpoints, attempt=2, acknowledged={1: 2}
    )
    reports = second.iter_reports()
    assert next(reports).epoch == 3
    assert second.resumed_from == 2
    reports.close()


def run_small(name: str, folder: Path, *changes: tuple[str, str]) -> str:
    """Run a version as a person does, but with fewer trials; what it printed."""
    text = (FOLDER / name).read_text()
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / name).write_text(text)
    shutil.copy(FOLDER / "cells.py", folder)
    done = subprocess.run(
        [sys.executable, name],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "RAY_TMPDIR": str(folder), "RAY_ADDRESS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_plain_script_prints_iou_and_dice_of_each_epoch(tmp_path: Path) -> None:
    printed = run_small("plain.py", tmp_path, ("EPOCHS = 9", "EPOCHS = 2"))
    assert re.findall(r"epoch (\d+): iou 0\.\d+, dice 0\.\d+", printed) == ["1", "2"]


def test_optunas_version_searches(tmp_path: Path) -> None:
    printed = run_small(
        "with_optuna.py", tmp_path, ("n_trials=24", "n_trials=3"), ("EPOCHS = 9", "EPOCHS = 2")
    )
    assert printed.count("finished with value") + printed.count("pruned") == 3
    assert (tmp_path / "cells-0.pt").is_file()


@pytest.mark.ray
@pytest.mark.slow
def test_ray_tunes_version_searches() -> None:
    with tempfile.TemporaryDirectory(prefix="seg") as folder:  # Ray's sockets need a short path
        small = (("num_samples=24", "num_samples=2"), ("EPOCHS = 9", "EPOCHS = 2"))
        printed = run_small("with_ray_tune.py", Path(folder), *small)
        assert "TERMINATED" in printed
        assert len(list((Path(folder) / "ray_results" / "cells").glob("train_*/checkpoint_*/state.pt"))) >= 2
