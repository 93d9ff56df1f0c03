"""`--store file:///FOLDER` and the variable are the folder, for each verb that takes a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_testing import Cli
from session_testing import a_study, play

from tune_jobs.cli.main import cli as group
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter


@pytest.fixture
def url(tmp_path: Path) -> str:
    folder = tmp_path / "a folder"
    with StudyWriter.open(folder, a_study(), versions={}) as writer:
        session = Session(writer.study, writer)
        play(session)
        session.close("finished")
    return folder.as_uri()


def test_every_verb_with_a_store_reads_a_url() -> None:
    kinds = {
        (name, type(option.type).__name__)
        for name, verb in group.commands.items()
        for option in verb.params
        if option.envvar == "TUNE_JOBS_STORE" or option.metavar == "STORE"
    }
    assert {kind for _, kind in kinds} == {"StorePath"}
    assert {"run", "submit", "list", "compact", "latency"} <= {name for name, _ in kinds}


def test_the_verbs_read_and_change_the_folder(cli: Cli, url: str, tmp_path: Path) -> None:
    code, out, err = cli("list", "--store", url, "--format", "json")
    assert (code, [row["study"] for row in json.loads(out)]) == (0, ["played"]), err
    assert cli("show", "played", "--store", url)[0] == 0
    assert cli("query", "select count(*) from trials", "--store", url)[0] == 0
    code, _, err = cli("compact", "--store", url, "--output", (tmp_path / "copy").as_uri())
    assert code == 0, err
    assert (tmp_path / "copy" / "trials").is_dir()
    code, _, err = cli("delete", "played", "--store", url, "--yes")
    assert code == 0, err
    assert "file:" not in {path.name for path in tmp_path.iterdir()}


def test_the_variable_and_a_dry_run_name_the_folder(
    cli: Cli, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_JOBS_STORE", url)
    assert cli("show", "played")[0] == 0
    code, out, err = cli("run", "digits-recipes", "--dry-run", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["settings"]["store"] == str(tmp_path / "a folder")


def test_a_url_of_another_host_is_wrong_usage(cli: Cli) -> None:
    code, _, err = cli("list", "--store", "file://host/trials")
    assert code == 2
    assert "file:///FOLDER with three slashes" in err
