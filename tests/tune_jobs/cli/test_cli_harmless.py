"""Text of rows, names and errors reaches a terminal as text alone; JSON and CSV hold it as it is."""

from __future__ import annotations

import ast
import csv
import io
import json
import unicodedata
from pathlib import Path

import pytest
from cli_testing import Cli

import tune_jobs
from eml_models.training.recipe import Recipe
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.events import AttemptEnded, SessionStarted, detail_as_json
from tune_jobs.study.parameters import Choice, Float
from tune_jobs.study.rows import EventRow, Failure, StartRow, State, TrialRow, as_json_text
from tune_jobs.study.space import Space

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066\rover\x00\u2028"
NOON = "2026-11-24T12:00:00+00:00"


def rows(study: Study) -> list[object]:
    from datetime import datetime

    at = datetime.fromisoformat(NOON)
    made: list[object] = []
    for number, state in enumerate((State.COMPLETED, State.FAILED)):
        key = {"study": study.name, "trial_id": f"{study.name}/{number}", "number": number, "attempt": 1}
        params = as_json_text({"tag": EVIL, "x": 0.5})
        recipe = as_json_text(study.recipe.as_dict())
        made.append(StartRow(**key, history_seq=0, params=params, recipe=recipe, seed=0, started_at=at))  # type: ignore[arg-type]  # the key's values are of several types
        made.append(
            TrialRow(
                **key,  # type: ignore[arg-type]  # as above
                state=state,
                reason=f"reason {EVIL}",
                failure=Failure.RAISED if state is State.FAILED else None,
                objective=0.5 if state is State.COMPLETED else None,
                objectives='{"val_accuracy":0.5}' if state is State.COMPLETED else "{}",
                error=EVIL,
                params=params,
                seed=0,
                epochs=1,
                ended_at=at,
            )
        )
    for detail in (SessionStarted(kernels=EVIL), AttemptEnded(how=EVIL)):
        text = detail_as_json(detail)
        made.append(EventRow(study=study.name, kind=detail.kind, session="s", detail=text, happened_at=at))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evil")
    study = Study(
        name="evil",
        space=Space(Choice("tag", (EVIL, "b")), Float("x", 0, 1)),
        recipe=Recipe(learning_rate=0.1, epochs=1),
        description=EVIL,
    )
    with StudyWriter.open(str(folder / "trials"), study, versions={}) as writer:
        writer.append_many(rows(study))  # type: ignore[arg-type]  # rows, as above
    return folder


def check_harmless(text: str) -> None:
    obeyed = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - set("\n\t")
    assert not obeyed, text


@pytest.mark.parametrize(
    "words",
    [
        ["query", "select reason, error, params, param_tag from trials"],
        ["query", f'select 1 as "{EVIL[:-2]}"'],
        [
            "query",
            "select [reason] as l, {'a': error} as s, map{error: 1} as m, error::blob as b from trials",
        ],
        ["query", "select description from studies"],
        ["show", "evil"],
        ["report", "evil"],
        ["list"],
        ["query", "select detail->>'how' as how from events"],
        ["query", f"select '{EVIL[:-2]}'::int"],
        ["query", f'select "{EVIL[:-2]}" from trials'],
        ["query", "select error(error) from trials"],
        ["show", EVIL[:-2]],
        [EVIL[:-2]],
        ["run", EVIL[:-2]],
        ["run", "digits-recipes", "--enqueue", EVIL[:-2]],
        ["run", "digits-recipes", "--fix", f"optimizer={EVIL[:-2]}"],
        ["list", "--store", EVIL[:-2]],
        ["latency", EVIL[:-2]],
        ["finalists", "evil", "--baseline", EVIL[:-2]],
        ["delete", "evil", EVIL[:-2]],
        ["repair", EVIL[:-2]],
    ],
)
def test_no_text_of_others_is_obeyed(cli: Cli, words: list[str]) -> None:
    code, out, err = cli(*words)
    check_harmless(out)
    check_harmless(err)
    assert words == ["list"] or r"\x1b" in out + err or "evil" not in out + err
    assert code in (0, 1, 2)


def test_json_and_csv_hold_the_text_as_it_is(cli: Cli) -> None:
    sql = "select error, params from trials where number = 0"
    expected = {"error": EVIL, "params": as_json_text({"tag": EVIL, "x": 0.5})}
    assert json.loads(cli("query", sql, "--format", "json")[1]) == [expected]
    out = cli("query", sql, "--format", "csv")[1]
    assert list(csv.DictReader(io.StringIO(out, newline=""))) == [expected]


def test_a_damaged_file_is_named_harmlessly(cli: Cli, folder: Path) -> None:
    stray = folder / "trials" / "trials" / "study_slug=s-evil" / "a\x1b[2J\u202e-0.parquet"
    stray.write_bytes(b"no parquet")
    try:
        code, out, err = cli("query", "select count(*) as n from trials")
    finally:
        stray.unlink()
    assert "\\x1b[2J\\u202e" in err
    check_harmless(err + out)
    assert code == 0


def test_the_command_line_speaks_through_one_place() -> None:
    """Whatever is not data goes through `telling`, so that nothing new is forgotten."""
    folder = Path(tune_jobs.__file__).parent / "cli"
    found = []
    for file in sorted(folder.glob("*.py")):
        if file.name == "telling.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                speaks = name in ("print", "sys.stderr.write", "sys.stdout.write", "click.secho")
                speaks |= name == "click.echo" and file.name != "job_commands.py"  # what a job has written
                found += [f"{file.name}:{node.lineno}: {name}"] if speaks else []
    assert found == []
