"""A measured step of the largest candidate, in a process that ends with its driver and by nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.patience import patience_s, wait_until
from tune_jobs.errors import TuneJobsError
from tune_jobs.inputs.shipped import digits_recipes, lab_macs_30m
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.on_ray.gpus.measure import LocalMeasurement, describe_choice, measured_here
from tune_jobs.on_ray.gpus.share import choose_part
from tune_jobs.session.settings import RunSettings
from tune_jobs.study.definition import Study
from tune_jobs.study.method import LatencyMode
from tune_jobs.study.parameters import Choice
from tune_jobs.study.space import Space

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def a_study_with_latency() -> Study:
    return lab_macs_30m().with_changes(latency=LatencyMode())


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program of its own: other tests register families here."""
    for name in ("custom_models", "custom_datasets", "known_file_sets"):
        monkeypatch.setattr(f"tune_jobs.on_ray.gpus.measure.{name}", lambda: ())


def measured(study: Study, **settings: Any) -> Any:
    with measured_here(study, None, RunSettings(gpus_per_trial="auto", **settings)) as found:
        return found and found.result(ended=lambda: False)


def test_a_process_of_this_machine_measures_the_largest_candidate() -> None:
    """On the simulated card of `gpu_study`, which the study's code brings along."""
    code = UserCode(module="gpu_study", search_paths=(str(Path(__file__).parents[2] / "e2e"),))
    study = digits_recipes().with_changes(space=Space(Choice("batch_size", (16, 256))))
    with measured_here(study, code, RunSettings(gpus_per_trial="auto")) as found:
        assert found is not None
        card = found.result(ended=lambda: False)
    assert card is not None
    assert card.load.peak_bytes == 230 * (20 << 20)  # batches of 230 images of the 1,150
    assert card.load.beside_bytes == 600 << 20
    assert card.load.total_bytes == 16 << 30
    assert card.not_together_because is None
    assert card.images_per_s == {1: 1000.0, 2: 2000.0}  # memory holds no more
    part = choose_part(card.load, card.images_per_s)
    assert part.gpus == 1 / 2
    assert describe_choice(card, part) == (
        "the largest candidate takes 4.82 of 17.2 GB and keeps the GPU busy for 1 % of a step;"
        " 1, 2 of it side by side train 1000, 2000 images/s in all: 2 trials share a GPU"
    )


def test_a_measurement_here_says_why_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(TuneJobsError, match="torch sees 0 CUDA devices") as caught:
        measured(digits_recipes())
    assert "--gpus-per-trial a number" in str(caught.value)


def test_a_measuring_process_that_dies_is_reported_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tune_jobs.on_ray.gpus.measure.PROGRAM", "no_such_module_here")
    with pytest.raises(
        TuneJobsError, match=r"the process ended with exit code 1: .*No module named no_such_module"
    ):
        measured(digits_recipes())


def test_a_measurement_ends_with_a_signal() -> None:
    with measured_here(digits_recipes(), None, RunSettings(gpus_per_trial="auto")) as found:
        assert isinstance(found, LocalMeasurement)
        assert found.result(ended=lambda: True) is None


@pytest.mark.parametrize(
    "settings", [{"device": "cpu", "gpus_per_trial": None}, {"gpus_per_trial": 0.5}, {"address": "h:1"}]
)
def test_nothing_is_measured_here_that_need_not_be(settings: dict[str, Any]) -> None:
    with measured_here(
        digits_recipes(), None, RunSettings(**{"gpus_per_trial": "auto", **settings})
    ) as found:
        assert found is None


def test_what_this_program_registered_is_measured_on_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_jobs.on_ray.gpus.measure.custom_models", lambda: ("a family",))
    with measured_here(digits_recipes(), None, RunSettings(gpus_per_trial="auto")) as found:
        assert found is None


def test_latency_on_shared_gpus_is_not_measured_by_auto() -> None:
    with measured_here(a_study_with_latency(), None, RunSettings(gpus_per_trial="auto")) as found:
        assert found is None


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
