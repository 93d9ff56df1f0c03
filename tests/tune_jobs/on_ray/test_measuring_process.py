"""The process that measures a step while Ray starts: it ends with its driver, and by nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import patience_s, wait_until
from tune_jobs.errors import TuneJobsError
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.on_ray.gpus.measure import LocalMeasurement, measured_here
from tune_jobs.session.settings import RunSettings

AUTO = RunSettings(gpus_per_trial="auto")

ENTRY = """
import os, time
from pathlib import Path
Path(__file__).with_suffix(".pid").write_text(str(os.getpid()))
time.sleep(1e6)
"""
DRIVER = """
import sys, time
from tune_jobs.on_ray.gpus import measure as gpu_measure
from tune_jobs.session.settings import RunSettings
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.inputs.user_code import UserCode

code = UserCode(**dict({fields}))
with gpu_measure.measured_here(digits_recipes(), code, RunSettings(gpus_per_trial="auto")):
    time.sleep(1e6)
"""


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("custom_models", "custom_datasets"):
        monkeypatch.setattr(f"tune_jobs.on_ray.gpus.measure.{name}", lambda: ())


def test_a_ctrl_c_of_the_terminal_does_not_reach_it() -> None:
    with measured_here(digits_recipes(), None, AUTO) as found:
        assert isinstance(found, LocalMeasurement)
        assert os.getpgid(found._process.pid) == found._process.pid != os.getpgid(0)


def test_a_process_that_ended_with_the_run_is_no_failed_measurement() -> None:
    with measured_here(digits_recipes(), None, AUTO) as found:
        assert isinstance(found, LocalMeasurement)
        found._process.send_signal(signal.SIGINT)
        found._process.wait(patience_s())
        assert found.result(ended=lambda: True) is None


def test_it_finds_the_packages_that_its_driver_has_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "measures_here.py").write_text('print(\'{"error": "was found"}\')')
    monkeypatch.setattr("tune_jobs.on_ray.gpus.measure.PROGRAM", "measures_here")
    monkeypatch.syspath_prepend(str(tmp_path))
    with measured_here(digits_recipes(), None, AUTO) as found:
        assert found is not None
        with pytest.raises(TuneJobsError, match="could not be measured: was found"):
            found.result(ended=lambda: False)


def test_one_that_never_answers_ends_with_its_time_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "never_answers.py").write_text("import time\ntime.sleep(1e6)")
    monkeypatch.setattr("tune_jobs.on_ray.gpus.measure.PROGRAM", "never_answers")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = RunSettings(gpus_per_trial="auto", trial_timeout_s=0.3)
    with measured_here(digits_recipes(), None, settings) as found:
        assert found is not None
        with pytest.raises(TuneJobsError, match=r"there was no answer for 0\.3 s"):
            found.result(ended=lambda: False)


def test_rays_word_for_a_ray_of_ones_own_is_no_address() -> None:
    assert RunSettings(address="local").address is None
    with measured_here(digits_recipes(), None, RunSettings(gpus_per_trial="auto", address="local")) as found:
        assert isinstance(found, LocalMeasurement)


def test_it_does_not_outlive_a_driver_that_is_killed(tmp_path: Path) -> None:
    module = tmp_path / "hangs.py"
    module.write_text(ENTRY)
    fields = {"module": "hangs", "search_paths": (str(tmp_path),)}
    driver = subprocess.Popen([sys.executable, "-c", DRIVER.format(fields=fields)])
    written = tmp_path / "hangs.pid"
    try:
        pid = int(wait_until(lambda: written.read_text(), "it was never started"))
    finally:
        driver.kill()
        driver.wait()
    wait_until(lambda: not lives(pid), "it outlived its driver")


def lives(pid: int) -> bool:
    """Not so for one that nobody has waited for."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
