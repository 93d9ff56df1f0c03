"""What is measured on a GPU once there is one still runs on a CPU, up to its first CUDA call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
KIT = ROOT / "benchmarks" / "gpu"


@pytest.mark.parametrize("part", ["small128", "small8"])
def test_steps_are_measured_on_a_cpu_too(part: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, KIT / "train.py", "cpu", part], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["part"] == part
    assert "failed" not in answer, done.stderr


@pytest.mark.slow
def test_latencies_are_investigated_on_a_cpu_too() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, KIT / "lat.py", "cpu", "60"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = [line.partition(" s ")[2] for line in done.stdout.splitlines()]
    (shown,) = (json.loads(line) for line in lines if line.startswith("{"))
    assert shown["round"] == 1
    assert len(shown["median_ms"]) > 20
    assert sum(line.startswith("waterfall of ") for line in lines) == 2
    assert [line[:3] for line in lines if line.startswith("(")] == ["(a)", "(b)", "(c)", "(d)", "(e)"]
    assert lines[-1] == "finished"


def test_latencies_whose_time_is_up_end_in_order() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, KIT / "lat.py", "cpu", "0.11"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "ended: time limit" in done.stdout or "finished" in done.stdout or "not begun" in done.stdout


@pytest.mark.parametrize("script", ["step1.sh", "step2.sh"])
def test_the_steps_scripts_are_well_formed(script: str) -> None:
    done = subprocess.run(["bash", "-n", KIT / script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_studies_on_colour_images_are_found() -> None:
    words = [f"{KIT / 'jpeg_studies.py'}:{name}" for name in ("macs30", "resnet")]
    for word in words:
        done = subprocess.run(
            [sys.executable, "-m", "tune_jobs", "run", word, "--dry-run", "--format", "json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["definition"]


def run_speed(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, KIT / "speed.py", "--device", "cpu", "--tiny", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


FIGURES = {"study": {"num_trials"}, "side_by_side": {"images_per_s_together", "chosen", "note"}}
"""What a part of another kind than a training measures, by a word of its name."""


def check_speed(output: Path, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    parts: dict[str, Any] = json.loads(output.read_text())["parts"]
    assert not any("failed" in known or "ended" in known for known in parts.values()), done.stderr
    for name, known in parts.items():
        wanted = [keys for word, keys in FIGURES.items() if word in name] or [
            {"start_up_s", "steps_per_s", "images_per_s"}
        ]
        assert wanted[0] <= known.keys(), (name, done.stderr)
    assert done.stdout.splitlines()[-1].startswith(f"| {list(parts)[-1]} |")
    return parts


def test_speed_is_measured_on_a_cpu_too(tmp_path: Path) -> None:
    output = tmp_path / "speed.json"
    skipped = [word for way in ("eager", "plain", "norms", "compiled") for word in ("--skip", way)]
    done = run_speed("--only", "small", *skipped, "--output", str(output))
    assert list(check_speed(output, done)) == ["small graph"]


@pytest.mark.slow
def test_every_part_of_speed_but_rays_runs_on_a_cpu(tmp_path: Path) -> None:
    output = tmp_path / "speed.json"
    parts = check_speed(output, run_speed("--minutes", "60", "--skip", "ray", "--output", str(output)))
    assert len(parts) == 18


def test_speed_ends_in_order_when_its_time_is_up() -> None:
    done = run_speed("--minutes", "0")
    assert done.returncode == 0, done.stderr
    assert "not begun: mobilenet eager" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("| ---")
