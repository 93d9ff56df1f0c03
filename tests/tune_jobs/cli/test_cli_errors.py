"""Bad input on the command line: a clear message, an exit code, no traceback, nothing lost."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from cli_testing import Cli
from session_testing import a_study, play

from eml_models import Recipe
from tune_jobs import TrialStore
from tune_jobs.cli.run_commands import print_outcome
from tune_jobs.inputs.user_code import load_study
from tune_jobs.on_ray.runner import RunOutcome
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName
from tune_jobs.study.parameters import Choice
from tune_jobs.study.space import Space


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a finished study called ``played``."""
    study = a_study()
    with StudyWriter.open(str(tmp_path / "trials"), study, versions={}) as writer:
        session = Session(study, writer)
        play(session)
        session.close("finished")
    return tmp_path / "trials"


def study_file(folder: Path, body: str) -> str:
    (folder / "own.py").write_text(
        f"from eml_models import Recipe\nfrom tune_jobs import *\ndef study():\n    return {body}\n".replace(
            "*", "Choice, Float, Space, Study"
        )
    )
    return "own.py:study"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "digit-recipes"], "unknown study 'digit-recipes'; known: digits-recipes"),
        (["run", "own.py"], "which function of 'own.py' returns the study? Write own.py:FUNCTION"),
        (["run", "nowhere.py:study"], "cannot read 'nowhere.py'"),
        (["run", "no.such.module:study"], "could not import 'no.such.module'"),
        (["run", "digits-recipes", "--dataset", "digit"], "unknown data set 'digit'; known: digits"),
        (["run", "digits-recipes", "--sampler", "tpee"], "unknown sampler 'tpee'; known: tpe"),
        (["run", "digits-recipes", "--epochs", "-3"], "epochs must be a whole number at least 1, got -3"),
        (["run", "digits-recipes", "--trials", "0"], "trials must be at least 1, got 0"),
        (["run", "digits-recipes", "--trials", "many"], "'many' is not a valid integer"),
        (["run", "digits-recipes", "--workers", "0"], "workers must be at least 1, got 0"),
        (["run", "digits-recipes", "--epoch", "3"], "No such option"),
        (["run", "digits-recipes", "--name", "my study"], "for example 'my-study'"),
        (["run", "digits-recipes", "--name", "a/b"], "a study's name starts with a-z"),
        (["run", "digits-recipes", "--name", "étude"], "a study's name starts with a-z"),
        (["run", "digits-recipes", "--fix", "optimizer=sdg"], "optimizer must be one of"),
        (["run", "digits-recipes", "--fix", "optimiser=sgd"], "unknown parameter 'optimiser'"),
        (["run", "digits-recipes", "--fix", "optimizer"], "--fix must be NAME=VALUE, got 'optimizer'"),
        (["run", "digits-recipes", "--fix", "momentum=0.9", "--fix", "optimizer=adam"],
         "momentum applies only with optimizer 'sgd_momentum', but optimizer is fixed at 'adam'; leave"),
        (["run", "digits-recipes", "--fix", "optimizer=sgd", "--fix", "optimizer=adam"],
         "--fix optimizer is given twice, got 'optimizer=adam' too; choose one"),
        (["run", "digits-recipes", "--max-macs", "30 MB"], "30 MB"),
        (["run", "digits-recipes", "--max-macs", "abc"], "abc"),
        (["run", "digits-recipes", "--max-macs", "0"], "--max-macs: a count is a positive whole number"),
        (["run", "digits-recipes", "--precision", "fp8"], "precision must be one of fp32"),
        (["run", "digits-recipes", "--device", "tpu"], "device must be auto, cpu or cuda, got 'tpu'"),
        (["run", "digits-recipes", "--gpus-per-trial", "1.5"], "a fraction up to 1"),
        (["run", "mnist-recipes"], "data set 'mnist' is not in"),
        (["run", "digits-recipes", "--max-macs", "1e400"], "--max-macs: a count is a positive whole number"),
        (["run", "digits-recipes", "--max-parameters", "1e400"], "--max-parameters: a count is a"),
        (["run", "digits-recipes", "--trial-timeout", "0"], "trial_timeout_s must be a number above 0"),
        (["run", "digits-recipes", "--trial-timeout", "inf"], "must be a number above 0, got inf"),
        (["run", "digits-recipes", "--checkpoint-period", "nan"], "checkpoint_period_s must be at least 0"),
        (["run", "digits-recipes", "--max-checkpoint-gb", "-1"],
         "--max-checkpoint-gb must be a number of at least 0, got -1"),
        (["run", "digits-recipes", "--max-checkpoint-gb", "nan"], "a number of at least 0, got nan"),
        (["run", "digits-recipes", "--enqueue", "none.json"], "--enqueue 'none.json' cannot be read"),
        (["run", "digits-recipes", "--warm-start", "other"], "there is no store at 'trials'"),
        (["compact"], "there is no store at 'trials'"),
        (["show", "digits-recipes"], "trials"),
        (["list", "--store", "nowhere"], "nowhere"),
        (["query"], "Missing argument 'SQL'"),
    ],
)  # fmt: skip
def test_wrong_words_are_named_and_leave_nothing(
    cli: Cli, tmp_path: Path, words: list[str], message: str
) -> None:
    code, out, err = cli(*words)
    assert code == (
        1 if "data set" in message and "not in" in message else 2
    )  # the words are right, the data lacks
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert [path.name for path in tmp_path.iterdir() if path.name != "trials"] == []


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ('Float("learning_rate", 1.0, 1e-4, log=True)', "low must not be above high, got [1, 0.0001]"),
        ('Float("learning_rate", 0.0, 1.0, log=True)', "a logarithmic range must start above 0"),
        ('Choice("optimizer", ("sgd", "adamax"))', "unknown optimizer 'adamax'"),
        ('Choice("width_mult", (1, 2))', "unknown option 'width_mult'"),
    ],
)
def test_wrong_space_is_refused_before_ray_starts(cli: Cli, tmp_path: Path, space: str, message: str) -> None:
    target = study_file(
        tmp_path, f'Study(name="own", space=Space({space}), recipe=Recipe(learning_rate=0.1, epochs=1))'
    )
    code, _, err = cli("run", target)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("space", "trials", "message"),
    [
        (
            '"grid"',
            2,
            "2 of 2 trials. The grid has 2 points and all of them were proposed; add values to the space, or",
        ),
        (
            '"grid"',
            9,
            "2 of 9 trials. The grid has 2 points and all of them were proposed; add values to the space, or",
        ),
        ('"grid"', 1, "1 of 1 trial. Add trials with --trials 2."),
        ('"random"', 2, "2 of 2 trials. Add trials with --trials 4."),
    ],
)
def test_a_finished_study_says_what_it_can_be_asked_for_next(
    cli: Cli, tmp_path: Path, space: str, trials: int, message: str
) -> None:
    body = (
        'Study(name="own", space=Space(Choice("optimizer", ("sgd", "adam"))), asha=None,'
        f" sampler={space}, trials={trials}, recipe=Recipe(learning_rate=0.1, epochs=2))"
    )
    target = study_file(tmp_path, body)
    study, _ = load_study(str(tmp_path / target))
    with StudyWriter.open(str(tmp_path / "trials"), study, versions={}) as writer:
        play(Session(study, writer))
    code, _, err = cli("run", target)
    assert code == 0
    assert f"study 'own' is complete: {message}" in err
    assert ("`report own` compares" in err) == ("grid has" in message)


@pytest.mark.parametrize(
    ("target", "body", "message"),
    [
        ("own.py:f", "raise SystemExit(0)", "could not import '.*own.py': .*SystemExit: 0"),
        ("own.py:f", "def f(): raise SystemExit(0)", "own.py:f raised SystemExit: 0"),
        ("own.py:f", "\ufeffdef f(): return 1", "must return a tune_jobs.Study, it returned int"),
        ("collections:OrderedDict", "", "must be a function that returns a tune_jobs.Study"),
        ("own\0.py:f", "", "cannot read 'own.*embedded null byte"),
        ("~nobody-of-this-name/own.py:f", "", "cannot read '~nobody-of-this-name/own.py'"),
    ],
)
def test_whatever_a_users_file_does_is_reported_as_its_fault(
    cli: Cli, tmp_path: Path, target: str, body: str, message: str
) -> None:
    """Also that it leaves the program, which would look like success."""
    (tmp_path / "own.py").write_text(body, encoding="utf-8")
    code, out, err = cli("run", target)
    assert (code, out) == (2, "")
    assert re.search(message, err, re.DOTALL), err


def test_bounds_that_a_study_declares_are_changed_only_where_objectives_are_asked_for(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(
        "from dataclasses import replace\n"
        "from tune_jobs import Float, Space\n"
        "from tune_jobs.inputs.shipped import digits_front, digits_mobilenet\n"
        "def near():\n"
        "    return digits_front().with_changes(name='near', space=Space(\n"
        "        *(replace(p, low=0.5, log=False) if p.name == 'macs_share' else p\n"
        "          for p in digits_front().space.parameters)))\n"
    )
    study, _ = load_study(str(tmp_path / "own.py:near"))
    code, out, err = cli("run", "own.py:near", "--dry-run", "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["fingerprint"] == study.fingerprint()
    code, out, err = cli(
        "run", "digits-mobilenet", "--objectives", "val_accuracy,macs", "--dry-run", "--format", "json"
    )
    assert code == 0
    assert err.startswith("note: macs_share is searched from 0.05 upwards, because --objectives names a cost")
    share = json.loads(out)["definition"]["space"][0]
    assert (share["name"], share["low"], share["log"]) == ("macs_share", 0.05, True)


def test_a_run_that_came_to_the_end_of_its_grid_says_so_and_leaves_no_more_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = Space(Choice("optimizer", ("sgd", "adam")))
    recipe = Recipe(learning_rate=0.1, epochs=2)
    study = Study(name="own", space=space, recipe=recipe, trials=10, asha=None, sampler=SamplerName.GRID)
    store = str(tmp_path / "trials")
    with StudyWriter.open(store, study, versions={}) as writer:
        session = Session(study, writer)
        play(session)
    with StudyWriter.open(store, study, versions={}) as writer:
        again = Session(study, writer, writer.rows)
    assert session.finished
    assert again.finished
    assert not again.opened
    outcome = RunOutcome(study=study, store=store, progress=session.progress(), end_reason=session.end_reason)
    print_outcome(outcome, "table", again="")
    err = capsys.readouterr().err
    assert (
        "study 'own' ended with 2 of 10 trials. The grid has 2 points and all of them were proposed; add"
        in err
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f():\n    return 1 / 0\n", "raised ZeroDivisionError: division by zero (in"),
        ("def f():\n    return 1\n\ndef g(:\n", "line 4"),
    ],
)
def test_code_that_fails_is_named_with_its_line(cli: Cli, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "own.py").write_text(text)
    code, out, err = cli("run", f"{tmp_path / 'own.py'}:f", "--dry-run")
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_store_that_is_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "trials").write_text("not a store")
    code, _, err = cli("run", "digits-recipes")
    assert code in (1, 2)
    assert "A store is a folder, and a file is in its way" in err
    assert (tmp_path / "trials").read_text() == "not a store"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fdinfo"), reason="needs a folder that nobody can write to")
def test_store_that_cannot_be_written(cli: Cli) -> None:
    code, _, err = cli("run", "digits-recipes", "--store", "/proc/self/fdinfo/store")
    assert code == 1
    assert "/proc/self/fdinfo/store" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "sql",
    [
        "selct 1",
        "select nothing from trials",
        "copy trials to 'out.csv'",
        "create table x as select 1",
        "attach 'other.db'",
        "install httpfs",
        "load httpfs",
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from '/etc/passwd'",
        "set enable_external_access = true",
        "pragma database_list; copy trials to 'out.csv'",
    ],
)
def test_sql_that_is_wrong_or_would_leave_the_store(cli: Cli, store: Path, tmp_path: Path, sql: str) -> None:
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    code, out, err = cli("query", sql)
    assert code == 2
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert "root:" not in out + err
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_damaged_parquet_is_named_and_the_rest_is_readable(cli: Cli, store: Path) -> None:
    segment = max((store / "reports").rglob("*.parquet"), key=lambda path: path.stat().st_size)
    segment.write_bytes(segment.read_bytes()[:200])
    code, out, err = cli("query", "select count(*) as n from trials", "--format", "csv")
    assert (code, out) == (0, "n\n16\n")
    code, out, err = cli("show", "played")
    assert segment.name in err
    assert "Traceback" not in err


def test_damaged_store_is_not_continued(cli: Cli, store: Path, tmp_path: Path) -> None:
    for segment in (store / "starts").rglob("*-0*1.parquet"):
        segment.write_bytes(b"PAR1 no more")
    shutil.copytree(store, tmp_path / "copy")
    code, _, err = cli("run", "digits-recipes", "--name", "played", "--store", "copy", "--trials", "20")
    assert code in (1, 2)
    assert "Traceback" not in err
    assert len(TrialStore(tmp_path / "copy").trials()) == 16


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_reading_commands_put_data_alone_on_stdout(cli: Cli, store: Path, form: str) -> None:
    for words in (["list"], ["show", "played"], ["query", "select * from trials"]):
        code, out, err = cli(*words, "--format", form)
        assert code == 0
        assert out
        assert err == ""


def test_unknown_study_of_a_store_lists_the_known_ones(cli: Cli, store: Path) -> None:
    code, _, err = cli("show", "playd")
    assert code == 2
    assert "played" in err


def test_missing_data_set_leaves_no_study_behind(cli: Cli, store: Path) -> None:
    code, _, err = cli("run", "mnist-recipes")
    assert code in (1, 2)
    assert "--download" in err
    assert [*TrialStore(store).studies()["study"]] == ["played"]


@pytest.mark.parametrize("words", [("list",), ("show", "played"), ("query", "select * from trials")])
def test_a_damaged_file_is_left_out_and_named_once(cli: Cli, store: Path, words: tuple[str, ...]) -> None:
    damaged = next((store / "trials").rglob("*.parquet"))
    damaged.write_text("not Parquet")
    code, out, err = cli(*words)
    assert (code, bool(out)) == (0, True)
    (message,) = err.splitlines()
    assert message.startswith("warning: left out: ")
    assert damaged.name in message
