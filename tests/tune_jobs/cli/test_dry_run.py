"""`--dry-run`: a page for people, the study as JSON, and the refusals of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli_testing import Cli
from session_testing import WORKER, Clock, along, in_process, play, rising

from tune_jobs.cli import dry_run
from tune_jobs.cli.dry_run import known_workers
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.session.settings import RunSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter

RECIPES = ("run", "digits-recipes", "--dry-run")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a study of which three of 32 trials have ended, and a complete study."""
    store = str(tmp_path / "trials")
    study = digits_recipes()
    with StudyWriter.open(store, study, versions={}) as writer:
        session = Session(study, writer, clock=Clock())
        for _ in range(3):
            attempt = session.next_attempt()
            assert attempt is not None
            in_process.play_attempt(session, attempt, along(rising), worker=WORKER)
    done = study.with_changes(name="done", trials=2)
    with StudyWriter.open(store, done, versions={}) as writer:
        play(Session(done, writer, clock=Clock()))
    return tmp_path


def words_of(text: str) -> str:
    return " ".join(text.split())


def test_page_is_for_people_and_json_for_programs(cli: Cli, folder: Path) -> None:
    code, out, err = cli(*RECIPES, "--workers", "4", "--store", "new")
    assert (code, err) == (0, "")
    assert "{" not in out
    assert "momentum 0.5 to 0.99 optimizer is sgd_momentum" in words_of(out)
    assert "32 to train; the study is new" in out
    assert "80 to 576 in all" in out
    assert f"in {folder / 'new'}, a new store" in words_of(out)
    assert not (folder / "new").exists()
    code, out, err = cli(*RECIPES, "--workers", "4", "--store", "new", "--format", "json")
    assert (code, err) == (0, "")
    shown = json.loads(out)
    assert set(shown) == {
        "name", "description", "summary", "trials", "fingerprint", "adapted_to_small_images", "definition",
        "settings",
    }  # fmt: skip
    assert shown["settings"]["workers"] == 4


def test_page_knows_the_study_in_the_store_and_its_pace(cli: Cli) -> None:
    code, out, _ = cli(*RECIPES, "--workers", "4")
    assert code == 0
    assert "the store holds 3 trials of 32" in out
    assert "the run continues with 29 more" in words_of(out)
    assert "with 4 workers (1 s an epoch, the mean of" in words_of(out)
    code, out, _ = cli(*RECIPES, "--name", "done", "--trials", "2")
    assert code == 0
    assert "nothing is left to train. More trials: --trials 4" in words_of(out)


def test_page_is_refused_where_a_run_is(cli: Cli, folder: Path) -> None:
    code, out, err = cli(*RECIPES, "--epochs", "5")
    assert (code, out) == (2, "")
    assert "has another definition" in err
    (folder / "own.py").write_text(
        "from tune_jobs.inputs.shipped import digits_recipes\n"
        "def f():\n    return digits_recipes().with_changes(name='own', sampler='grid')\n"
    )
    code, out, err = cli("run", "own.py:f", "--dry-run")
    assert (code, out) == (2, "")
    assert "sampler 'grid' needs a finite number of points" in err
    code, out, err = cli(*RECIPES, "--format", "csv")
    assert (code, out) == (2, "")
    assert "leave --format out, or give --format json" in err


def test_points_that_a_run_would_refuse_are_refused(cli: Cli, folder: Path) -> None:
    (folder / "points.json").write_text('[{"momentum": 0.9, "optimizer": "adam"}]')
    code, _, err = cli(*RECIPES, "--enqueue", "points.json")
    assert code == 2
    assert "momentum applies only where optimizer is" in err
    (folder / "points.json").write_text('[{"optimizer": "adam"}]')
    code, out, _ = cli(*RECIPES, "--enqueue", "points.json")
    assert code == 0
    assert "1 given point first" in out


def test_page_of_finalists_shows_the_candidates(cli: Cli) -> None:
    code, out, err = cli("finalists", "done", "--repeats", "2", "--top", "1", "--dry-run")
    assert code == 0, err
    assert "done-final: Finalists of done" in out
    assert "1 to 2; runs of each recipe with other seeds" in words_of(out)
    assert "networks and recipes; 54 epochs each on digits" in out
    assert "216 in all" in out  # two candidates, two seeds, 54 epochs


@pytest.mark.parametrize(
    ("settings", "workers"),
    [
        (RunSettings(workers=3), 3),
        (RunSettings(workers=3, address="head:6379"), 3),
        (RunSettings(address="head:6379"), None),
        (RunSettings(device="cpu"), 8),
        (RunSettings(device="cpu", cpus_per_trial=3), 2),
        (RunSettings(device="cpu", cpus_per_trial=99), 1),
    ],
)
def test_workers_that_are_known_without_ray(settings: RunSettings, workers: int | None) -> None:
    assert known_workers(settings, num_cores=8) == workers


@pytest.mark.parametrize("has_driver", [True, False])
def test_workers_beside_a_gpu_are_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_driver: bool
) -> None:
    monkeypatch.setattr(dry_run, "GPU_FILES", (str(tmp_path if has_driver else tmp_path / "none"),))
    assert known_workers(RunSettings(), num_cores=8) == (None if has_driver else 8)


OWN = """
from tune_jobs import Float, Maximize, Space, Study

def train(params, run):
    for epoch in range(run.epochs):
        yield {"iou": params["rate"]}

def cost(params):
    return {"memory_gb": 10 * params["rate"]}

def study():
    space = Space(Float("rate", 0.0, 1.0))
    return Study(name="own", space=space, train=train, cost=cost, epochs=3, trials=4, asha=None,
                 objectives=[Maximize("iou")], limits={"memory_gb": 5})
"""


@pytest.mark.parametrize("form", ["table", "json"])
def test_dry_run_of_own_training(cli: Cli, folder: Path, form: str) -> None:
    (folder / "own.py").write_text(OWN)
    code, out, err = cli("run", "own.py:study", "--dry-run", "--format", form)
    assert code == 0, err
    if form == "json":
        assert json.loads(out)["adapted_to_small_images"] == {}
        return
    assert "training by train, epochs 3" in words_of(out)
    assert re.search(r"max_memory_gb 5; \d\d % of 100 points drawn at random pass", words_of(out))
    assert "12 in all" in out
