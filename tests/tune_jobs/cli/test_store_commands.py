"""Audit, replay, export and delete on the command line, on a store with a study that was really trained."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli_testing import Cli
from trained_studies import train_into

from eml_models import evaluate_test, load_trained
from eml_models.training.recipe import Recipe
from tune_jobs import TrialStore
from tune_jobs.cli.latency_commands import resolve_network
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter

RECIPE = Recipe(model="small_cnn", learning_rate=0.01, epochs=3, max_train_samples=200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three trained trials, made without Ray."""
    folder = tmp_path_factory.mktemp("trained")
    study = digits_recipes().with_changes(recipe=RECIPE, trials=3)
    train_into(str(folder / "trials"), study)
    return folder


def completed_number(folder: Path) -> int:
    trials = TrialStore(folder / "trials").trials()
    return int(trials[trials["state"] == "completed"]["number"].iloc[0])


def test_audit_of_a_true_store_passes(cli: Cli) -> None:
    code, out, _ = cli("show", "digits-recipes", "--audit")
    assert code == 0
    assert out.startswith("3 proposals and 3 decisions computed again: 0 differ")


def test_show_accounts_for_the_seconds(cli: Cli) -> None:
    code, out, _ = cli("show", "digits-recipes")
    assert code == 0
    assert "worker-seconds went" in out


def test_replay_on_the_cpu_is_equal_to_the_bit(cli: Cli) -> None:
    for number in ("0", "1", "2"):
        code, out, err = cli("replay", "digits-recipes", number, "--format", "json")
        assert code == 0, err
        assert all(row["equal"] for row in json.loads(out))
        assert "equal to the bit" in err


def test_replay_shows_where_a_stored_report_differs(cli: Cli, folder: Path) -> None:
    study = digits_recipes().with_changes(name="false", recipe=RECIPE, trials=1, asha=None)
    with StudyWriter.open(str(folder / "trials"), study, versions={}) as writer:
        session = Session(study, writer)
        attempt = session.next_attempt()
        assert attempt is not None
        for epoch in (1, 2, 3):
            session.record_report(attempt.number, {"epoch": epoch, "val_accuracy": 0.123}, WorkerInfo())
    code, out, err = cli("replay", "false", "0", "--format", "json")
    assert code == 1
    assert not json.loads(out)[0]["equal"]
    assert "0 of 3 epochs equal" in err


def test_export_is_loaded_back_and_tests_well(cli: Cli, folder: Path) -> None:
    number = completed_number(folder)
    code, _, err = cli("export", "digits-recipes", str(number), "--output", "weights.pt")
    assert code == 0, err
    network = load_trained(folder / "weights.pt")
    assert network.recipe.epochs == 3
    assert not network.training
    assert 0.0 <= evaluate_test(network, network.recipe).accuracy <= 1.0
    again = cli("export", "digits-recipes", str(number), "--output", "weights.pt")
    assert again[0] == 2
    assert "exists already" in again[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["replay", "digits-recipes", "77"], "trial 77 was never trained; the trained ones are 0 to 2"),
        (["replay", "digit", "0"], "digits-recipes"),
        (["replay", "digits-recipes", "-1"], "-1"),
        (
            ["export", "digits-recipes", "77", "--output", "x.pt"],
            "trial 77 was never trained; the trained ones are 0 to 2",
        ),
        (["export", "digit", "0", "--output", "x.pt"], "digits-recipes"),
        (["delete", "digit", "--yes"], "unknown study 'digit'; known: digits-recipes"),
        (["show", "digit", "--audit"], "digits-recipes"),
    ],
)
def test_wrong_words_are_named(cli: Cli, words: list[str], message: str) -> None:
    code, out, err = cli(*words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_delete_removes_a_study_and_no_other(cli: Cli, folder: Path) -> None:
    study = digits_recipes().with_changes(name="gone", recipe=RECIPE, trials=1, asha=None)
    with StudyWriter.open(str(folder / "trials"), study, versions={}) as writer:
        session = Session(study, writer)
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_report(attempt.number, {"epoch": 3, "val_accuracy": 0.5}, WorkerInfo())
        code, _, err = cli("delete", "gone", "--yes")
        assert code == 1
        assert "is being written by" in err
    assert cli("delete", "gone", "--yes")[0] == 0
    store = TrialStore(folder / "trials")
    assert "gone" not in set(store.studies()["study"])
    assert "gone" not in set(store.trials()["study"])
    assert len(store.trials("digits-recipes")) == 3
    assert store.problems == ()


def test_best_is_the_first_trial_of_the_leaderboard(cli: Cli, folder: Path) -> None:
    _, out, _ = cli("show", "digits-recipes", "--format", "json")
    first = json.loads(out)[0]["trial"]
    code, _, err = cli("export", "digits-recipes", "best", "--output", "best.pt")
    assert code == 0, err
    assert f"note: the best trial is {first}: val_accuracy " in err
    assert (folder / "best.pt").exists()
    code, _, err = cli("replay", "digits-recipes", "best")
    assert (code, f"the best trial is {first}" in err) == (0, True)
    asked = resolve_network("digits-recipes/best", str(folder / "trials"))
    assert (asked.network.name, asked.number) == (f"digits-recipes/{first}", first)


def test_best_of_a_study_without_a_completed_trial_is_refused(cli: Cli, folder: Path) -> None:
    study = digits_recipes().with_changes(name="empty", recipe=RECIPE)
    StudyWriter.open(str(folder / "trials"), study, versions={}).close()
    for words in (["export", "empty", "best", "--output", "x.pt"], ["replay", "empty", "best"]):
        code, out, err = cli(*words)
        assert (code, out) == (2, "")
        assert "must have a completed trial for the word best, and has none; name a trial" in err


def test_another_word_for_a_trial_is_refused_with_both_ways(cli: Cli) -> None:
    code, _, err = cli("export", "digits-recipes", "bets", "--output", "x.pt")
    assert code == 2
    assert "a trial is named by its number, or by best, got 'bets'" in err


def test_query_comes_from_stdin_and_from_a_file_too(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "select count(*) as n from trials where study = 'digits-recipes'"
    (folder / "count.sql").write_text(sql)
    monkeypatch.setattr("sys.stdin", io.StringIO(sql))
    answers = [cli("query", word, "--format", "csv") for word in (sql, "-", "@count.sql")]
    assert answers == [(0, "n\n3\n", "")] * 3


def test_a_mistyped_store_is_asked_for(cli: Cli) -> None:
    code, _, err = cli("list", "--store", "trails")
    assert code == 2
    assert err.rstrip().endswith("; did you mean 'trials'?")


@pytest.mark.parametrize(
    ("sql", "noted"),
    [
        ("describe trials", True),
        ("describe events", True),
        ("describe select number from trials", False),
        ("select ended_at from trials", False),
    ],
)
def test_list_of_columns_says_that_instants_are_utc(cli: Cli, sql: str, noted: bool) -> None:
    code, out, err = cli("query", sql, "--format", "csv")
    assert code == 0
    assert ("note: a TIMESTAMP is an instant in UTC; it carries no zone" in err) == noted
    assert "note" not in out


def test_instants_are_in_utc_as_the_words_say(cli: Cli, folder: Path) -> None:
    """The zone that the page on the store adds in pandas is that of the writer's clock."""
    ended = TrialStore(folder / "trials").trials()["ended_at"].dt.tz_localize("UTC")
    age = datetime.now(UTC) - ended.max()
    assert timedelta(0) <= age < timedelta(hours=1)
    assert "Instants are in UTC and carry no zone" in " ".join(cli("query", "--help")[1].split())
