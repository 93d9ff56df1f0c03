"""`finalists`, `report` and `--scale` on the command line, as far as they need no Ray."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_testing import Cli
from session_testing import WORKER, Clock, a_study, play

from tune_jobs.inputs.finalists import FinalOptions, final_study
from tune_jobs.session.attempt import Attempt
from tune_jobs.session.state_machine import Session
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName
from tune_jobs.study.parameters import Choice, Integer
from tune_jobs.study.space import Space


def fit_nothing(*args: object, **options: object) -> list[object]:
    """A training function of a user's own."""
    return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a search, its finalists, a grid with repeats, and studies to choose nothing from."""
    folder = tmp_path_factory.mktemp("final")
    put(folder, a_study())
    put(folder, a_study(name="running"), num_trials=1)
    put(folder, a_study(name="own", fit=fit_nothing))
    space = Space(Integer("repeat", 1, 2), Choice("optimizer", ("sgd", "adam")))
    put(folder, a_study(name="table", space=space, sampler=SamplerName.GRID, asha=None, trials=4))
    space = Space(*space.parameters, Choice("schedule", ("step", "cosine")))
    put(folder, a_study(name="crossed", space=space, sampler=SamplerName.GRID, asha=None, trials=8))
    search = TrialStore(folder / "trials")
    final, _ = final_study(a_study(), search.rows("played"), FinalOptions(repeats=3))
    put(folder, final)
    return folder


def put(folder: Path, study: Study, *, num_trials: int | None = None) -> None:
    with StudyWriter.open(str(folder / "trials"), study, versions={}) as writer:
        session = Session(study, writer, clock=Clock())
        if num_trials is None:
            play(session, curve)
            return
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_report(attempt.number, {"epoch": 1, "val_accuracy": 0.5}, WORKER)


def curve(attempt: Attempt, epoch: int) -> dict[str, object]:
    """Better for rates near 0.1 and for narrow networks; a little chance by the trial's number."""
    recipe, chance = attempt.recipe, attempt.number % 5 / 1000
    value = 0.9 - abs(recipe.learning_rate - 0.1) / 2 + chance - (recipe.model == "resnet18") / 10
    tested = value if epoch == recipe.epochs else None
    return {"epoch": epoch, "val_accuracy": value, "test_accuracy": tested, "elapsed_s": float(epoch)}


AS_JSON = ("--dry-run", "--format", "json")


def test_dry_run_of_finalists_shows_the_study_that_would_run(cli: Cli) -> None:
    words = ("--top", "2", "--repeats", "4", "--epochs", "7", "--baseline", "resnet18:width=8")
    code, out, err = cli("finalists", "played", *words, "--baseline", "mobilenet", *AS_JSON)
    assert code == 0, err
    shown = json.loads(out)
    assert (shown["name"], shown["trials"]) == ("played-final", 16)
    candidates = shown["definition"]["candidates"]
    assert [c["baseline"] for c in candidates] == [False, False, True, True]
    assert [c["name"] for c in candidates[2:]] == ["resnet18:width=8", "mobilenet"]
    assert shown["definition"]["recipe"]["train_on"] == "train_and_validation"
    assert "note: finalists train for 7 epochs, the search's trials for 9" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["finalists", "playd"], "unknown study 'playd'; known: played"),
        (["finalists", "running"], "study 'running' has no completed trial to choose finalists from"),
        (["finalists", "own"], "is trained by"),
        (["finalists", "played-final"], "is a study of finalists already"),
        (["finalists", "played", "--top", "0"], "top must be at least 1, got 0"),
        (["finalists", "played", "--repeats", "0"], "repeats must be at least 1, got 0"),
        (["finalists", "played", "--baseline", "resnet19"], "unknown model 'resnet19'"),
        (["finalists", "played", "--scale", "smoke"], "unknown study 'played-smoke'"),
        (["finalists", "played", "--store", "nowhere"], "there is no store at 'nowhere'"),
        (["report", "playd"], "unknown study 'playd'; known: played"),
        (
            ["report", "running"],
            "study 'running' must have a trial that has ended, and has none; run it first",
        ),
        (["report", "table", "--by", "optimiser"], "unknown factor 'optimiser'; known: optimizer"),
        (["report", "table", "--by", "optimizer", "--by", "rate"], "unknown factor 'rate'; known: optimizer"),
        (["report", "played-final", "--by", "optimizer"], "compares finalists, which have no factors"),
        (["run", "digits-grid", "--scale", "tiny"], "'tiny' is not one of"),
    ],
)
def test_wrong_words_are_named(cli: Cli, words: list[str], message: str) -> None:
    code, out, err = cli(*words)
    assert code in (1, 2)
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_finalists_that_changed_are_refused_or_renamed(cli: Cli) -> None:
    code, _, err = cli("finalists", "played", "--repeats", "2")
    assert code == 2
    assert "'played-final'" in err
    assert "--rename" in err
    for words, name in ((["--rename"], "played-final-2"), (["--name", "mine"], "mine")):
        code, out, _ = cli("finalists", "played", "--repeats", "2", *words, *AS_JSON)
        assert (code, json.loads(out)["name"]) == (0, name)


def test_finalists_that_are_trained_are_shown_again(cli: Cli) -> None:
    code, out, err = cli("finalists", "played", "--repeats", "3")
    assert code == 0, err
    assert "study 'played-final' is complete: 9 trials." in err
    assert "differences to baselines by Welch's t, p by Holm over 2" in out


def test_report_of_finalists_has_a_row_a_candidate(cli: Cli) -> None:
    code, out, err = cli("report", "played-final", "--format", "json")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert [row["n"] for row in rows] == [3] * 3
    assert rows[-1]["candidate"] == "resnet18"
    assert rows[-1]["less"] is None
    assert all(row["difference"] > 0 and row["diff_low"] < row["difference"] for row in rows[:2])
    assert {row["verdict"] for row in rows[:2]} == {"significant"}
    assert rows[0]["low"] < rows[0]["test_accuracy"] < rows[0]["high"]


def test_report_of_a_grid_and_of_one_factor(cli: Cli) -> None:
    _, out, _ = cli("report", "table", "--format", "csv")
    assert out.splitlines()[0] == "optimizer,n,failed,val_accuracy,low,high"
    assert len(out.splitlines()) == 3
    code, by, _ = cli("report", "table", "--by", "optimizer", "--format", "json")
    assert code == 0
    assert {row["optimizer"] for row in json.loads(by)} == {"sgd", "adam"}
    assert set(json.loads(by)[1]) >= {"difference", "diff_low", "p", "verdict"}


def test_two_factors_are_crossed_and_neither_is_dropped(cli: Cli) -> None:
    words = ("report", "crossed", "--by", "optimizer", "--by", "schedule", "--by", "optimizer")
    code, out, err = cli(*words, "--format", "json")
    assert code == 0, err
    rows = json.loads(out)
    pairs = {(row["optimizer"], row["schedule"]) for row in rows}
    assert pairs == {(o, s) for o in ("sgd", "adam") for s in ("step", "cosine")}
    assert [row["n"] for row in rows] == [2] * 4
    assert "difference" in rows[1]
    code, out, _ = cli(*words, "--top", "3", "--format", "csv")
    assert len(out.splitlines()) == 4
    code, out, _ = cli(*words)
    assert "optimizer x schedule: mean over all else" in " ".join(out.split())


def test_report_of_a_search_says_that_its_means_are_biased(cli: Cli) -> None:
    code, out, _ = cli("report", "played")
    assert code == 0
    assert "best 2 of 2 completed trials" in out
    assert "these means are biased and nothing is tested" in " ".join(out.split())


def test_smoke_scale_has_another_name_and_says_what_it_changed(cli: Cli) -> None:
    code, out, err = cli("run", "lab-macs-30m", "--scale", "smoke", *AS_JSON)
    assert code == 0
    shown = json.loads(out)
    assert shown["name"] == "lab-macs-30m-smoke"
    assert shown["definition"]["recipe"]["dataset"] == "digits"
    assert "dataset digits (full: cifar10)" in err
    _, out, _ = cli("run", "lab-mnist", "--scale", "smoke", "--name", "mine", "--trials", "7", *AS_JSON)
    assert (json.loads(out)["name"], json.loads(out)["trials"]) == ("mine-smoke", 7)


def test_limits_that_are_asked_for_at_the_smoke_scale_shrink_as_those_of_the_study_do(cli: Cli) -> None:
    asked = ("--max-macs", "60M", "--min-macs", "15M")
    code, out, err = cli("run", "lab-macs-30m", "--scale", "smoke", *AS_JSON, *asked)
    assert code == 0
    limits = json.loads(out)["definition"]["limits"]
    assert (limits["max_macs"], limits["min_macs"]) == (7_023_145, 1_755_786)  # 30 M become 3,511,573
    assert "max_macs 7,023,145 (full: 60,000,000), min_macs 1,755,786 (full: 15,000,000)" in err
