"""What a terminal gets beside what a pipe gets: colours and the line of the best, in tables alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_testing import Cli
from terminal_testing import CODE, Kind, Stream

from tune_jobs import Float, Maximize, Space, Study, run_study
from tune_jobs.cli.run_commands import say_how_to_watch
from tune_jobs.cli.telling import put, tell, tell_note
from tune_jobs.cli.typed_words import python_command


def train(params: dict[str, Any], run: Any) -> Any:
    if run.number == 3:
        raise ValueError("bad luck")
    yield {"scoré": float(run.number + (params["x"] < 0))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with five completed trials and a failed trial."""
    folder = tmp_path_factory.mktemp("seen")
    space = Space(Float("x", 0, 1))
    study = Study(name="seen", space=space, train=train, objectives=Maximize("scoré"), trials=6, epochs=1)
    run_study(study, store=str(folder / "trials"), inline=True, on_progress=lambda progress: None)
    return folder


@pytest.fixture(autouse=True)
def many_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")


def shown(cli: Cli, monkeypatch: pytest.MonkeyPatch, kind: Kind, *words: str) -> str:
    """What the command line writes to a stdout of a kind."""
    stream = Stream(kind)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        cli(*words)
    return stream.getvalue()


WORDS = [("show", "seen"), ("list",), ("report", "seen"), ("show", "seen", "3"), ("query", "from trials")]


@pytest.mark.parametrize("words", WORDS)
def test_a_terminal_gets_the_tables_of_a_pipe_with_colours(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    piped = shown(cli, monkeypatch, Kind(tty=False), *words)
    coloured = shown(cli, monkeypatch, Kind(), *words)
    assert "\x1b" not in piped
    assert CODE.search(coloured)
    lines = CODE.sub("", coloured).splitlines()
    assert [line for line in lines if "so far: " not in line and line] == [
        line for line in piped.splitlines() if line
    ]


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("words", WORDS[:2])
def test_data_for_programs_is_the_same_in_a_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], form: str
) -> None:
    piped = shown(cli, monkeypatch, Kind(tty=False), *words, "--format", form)
    assert shown(cli, monkeypatch, Kind(), *words, "--format", form) == piped
    assert "\x1b" not in piped


def test_the_page_of_a_study_draws_its_best_in_a_terminal_alone(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("show", "seen")
    assert "best scoré so far: ▁▂▄▄▇█   from 0 to 5" in shown(cli, monkeypatch, Kind(), *words)
    assert "so far" not in shown(cli, monkeypatch, Kind(tty=False), *words)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = shown(cli, monkeypatch, Kind(), *words)
    assert "▁▂▄▄▇█" in plain
    assert "\x1b" not in plain


@pytest.mark.parametrize("tty", [True, False])
def test_a_stream_without_a_character_gets_its_escape(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tty: bool
) -> None:
    ascii_alone = Kind(tty=tty, encoding="ascii")
    page = CODE.sub("", shown(cli, monkeypatch, ascii_alone, "show", "seen"))
    assert r"scor\u00e9" in page
    assert "\n ----" in page
    assert ("so far: _.~~*#" in page) == tty
    found = shown(cli, monkeypatch, ascii_alone, "query", "select 'é─😀' as x", "--format", "json")
    assert json.loads(found) == [{"x": "é─😀"}]


def test_words_for_errors_and_notes_are_coloured_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, number in ((Kind(), 6), (Kind(tty=False), 0)):
        stream = Stream(kind)
        monkeypatch.setattr(sys, "stderr", stream)
        tell("error: wrong\x1b[2J")
        tell_note("an error: none")
        tell("Usage: x\n\nError: No such option")
        assert len(CODE.findall(stream.getvalue())) == number
        assert CODE.sub("", stream.getvalue()) == (
            "error: wrong\\x1b[2J\nnote: an error: none\nUsage: x\n\nError: No such option\n"
        )


def test_a_character_that_fits_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(Kind(encoding="latin-1"))
    monkeypatch.setattr(sys, "stdout", stream)
    put("é ☃")
    assert stream.getvalue() == r"é \u2603"


@pytest.mark.parametrize(
    ("store", "option"), [("trials", ""), ("/shared/my trials", " --store '/shared/my trials'")]
)
def test_a_run_names_the_command_of_its_board(
    capsys: pytest.CaptureFixture[str], store: str, option: str
) -> None:
    say_how_to_watch("seen", store)
    said = f"watch it in a browser:\n  {python_command()} -m tune_jobs board seen{option}\n"
    assert capsys.readouterr() == ("", said)


def test_a_run_says_how_to_watch_it_once_and_a_complete_study_does_not(
    cli: Cli, tmp_path: Path, folder: Path
) -> None:
    words = ("run", f"{__file__}:tiny", "--store", str(tmp_path / "s"), "--inline")
    code, _, said = cli(*words)
    assert code == 0
    assert said.count("board tiny --store ") == 1
    code, _, said = cli(*words)
    assert "is complete" in said
    assert "board tiny" not in said


def train_tiny(params: dict[str, Any], run: Any) -> Any:
    yield {"score": params["x"]}


def tiny() -> Study:
    space = Space(Float("x", 0, 1))
    return Study(name="tiny", space=space, train=train_tiny, objectives=Maximize("score"), trials=2, epochs=1)
