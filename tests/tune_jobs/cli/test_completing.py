"""What a shell completes, and what help shows of closed values."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from cli_testing import Cli
from click.shell_completion import ShellComplete

from eml_models.data.datasets import known_datasets
from tune_jobs.cli import cli as program
from tune_jobs.inputs.shipped import SHIPPED, digits_recipes
from tune_jobs.store.writer import StudyWriter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a study, one of whose trials has kept its weights."""
    store = tmp_path / "trials"
    for name in ("digits-own", "other"):
        StudyWriter.open(str(store), digits_recipes().with_changes(name=name), versions={}).close()
    (store / "checkpoints" / "digits-own" / "7").mkdir(parents=True)
    return tmp_path


def completed(*words: str) -> list[str]:
    """What click completes for the last word."""
    *before, last = words
    shell = ShellComplete(program, {}, "tune-jobs", "_TUNE_JOBS_COMPLETE")
    return [item.value if item.type == "plain" else item.type for item in shell.get_completions(before, last)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["run", "--sampler", ""], ["tpe", "random", "grid"]),
        (["submit", "--precision", "f"], ["fp32", "fp16"]),
        (["run", "--device", ""], ["auto", "cpu", "cuda"]),
        (["replay", "--device", ""], ["cpu", "cuda"]),
        (["finalists", "--kernels", "d"], ["default", "deterministic"]),
        (["run", "--execution", ""], ["auto", "eager"]),
        (["run", "--dataset", "digits"], ["digits"]),
        (["run", "--objectives", "val_accuracy,m"], ["val_accuracy,macs"]),
        (["latency", "--modes", "a"], ["all"]),
        (["latency", "resnet18-"], ["resnet18-35m"]),
        (["finalists", "s", "--baseline", "small"], ["small_cnn"]),
        (["run", "--scale", "s"], ["smoke"]),
        (["run", "s", "--enqueue", "p"], ["file"]),
        (["list", "--store", "p"], ["dir"]),
    ],
)
def test_values_of_options_are_completed(words: list[str], found: list[str]) -> None:
    assert completed(*words) == found


@pytest.mark.parametrize("verb", ["show", "report", "replay", "export", "compact", "repair", "delete"])
def test_studies_of_the_store_are_completed(verb: str, folder: Path) -> None:
    store = str(folder / "trials")
    assert completed(verb, "--store", store, "") == ["digits-own", "other"]
    assert completed(verb, "--store", store, "oth") == ["other"]


def test_the_store_of_the_environment_and_the_default_store_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_JOBS_STORE", str(folder / "trials"))
    assert completed("show", "d") == ["digits-own"]
    monkeypatch.delenv("TUNE_JOBS_STORE")
    monkeypatch.chdir(folder)
    assert completed("latency", "d") == ["digits-own/best"]


@pytest.mark.parametrize("store", ["nowhere", "s3://bucket/trials", ""])
def test_without_a_store_in_reach_files_are_completed_and_nothing_is_printed(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert completed("show", "--store", store, "x") == ["file"]
    assert completed("export", "--store", store, "x", "") == ["best"]
    assert capsys.readouterr() == ("", "")


def test_run_completes_shipped_studies_too(folder: Path) -> None:
    found = completed("run", "--store", str(folder / "trials"), "")
    assert {"digits-own", "other", *SHIPPED} == {*found}
    assert len(found) == len({*found})


def test_trials_that_kept_weights_are_completed(folder: Path) -> None:
    store = str(folder / "trials")
    assert completed("export", "--store", store, "digits-own", "") == ["best", "7"]
    assert completed("replay", "--store", store, "other", "") == ["best"]


def test_files_with_a_query_are_completed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "best.sql").write_text("select 1")
    assert completed("query", "@") == completed("query", "@be") == ["@best.sql"]
    assert completed("query", "sel") == []


def test_the_program_answers_a_shell(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TUNE_JOBS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "tune-jobs show d")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        cli()
    assert capsys.readouterr().out == "plain,digits-own\n"


@pytest.mark.parametrize(
    ("verb", "shown"),
    [
        ("run", "--sampler [tpe|random|grid]"),
        ("run", "--precision [fp32|bf16|fp16]"),
        ("run", "--device [auto|cpu|cuda]"),
        ("submit", "--kernels [default|searched|deterministic]"),
        ("submit", "--execution [auto|eager]"),
        ("finalists", "--device [auto|cpu|cuda]"),
        ("replay", "--device [cpu|cuda]"),
        *(("run", name) for name in known_datasets()),
    ],
)
def test_help_shows_closed_values(verb: str, shown: str) -> None:
    assert shown in program.commands[verb].get_help(click.Context(program.commands[verb]))
