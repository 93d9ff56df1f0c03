"""What the commands print of a store's trials is read again as the points that they were."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cli_testing import Cli

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.training.recipe import Recipe
from tune_jobs.cli.resolving import _parse_assignments
from tune_jobs.inputs.point_files import read_points
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Choice, Constant, Float, Integer
from tune_jobs.study.rows import StartRow, State, TrialRow, as_json_text
from tune_jobs.study.space import Space

SPACE = Space(
    Float("learning_rate", 1e-6, 1.0, log=True),
    Integer("batch_size", 1, 2**40),
    Choice("optimizer", ("sgd", "adam")),
    Float("x", -1, 1),
    Integer("big", -(2**62), 2**62),
    Choice("flag", (True, False)),
    Choice("tag", ("null", "1e5", "true", "1", "a,b", 'say "so"', "cr\rhere", "two\nlines")),
    Choice("level", (1, 2.5)),
    Constant("lengths", (1, 2)),
    Constant("parts", (0.1, 2.0)),
    Constant("words", ("a", "null")),
)
SHARED = {"lengths": (1, 2), "parts": (0.1, 2.0), "words": ("a", "null")}
POINTS: list[dict[str, Any]] = [
    {
        "learning_rate": rate,
        "batch_size": size,
        "optimizer": "adam",
        "x": x,
        "big": big,
        "flag": flag,
        "tag": tag,
        "level": level,
        **SHARED,
    }
    for rate, size, x, big, flag, tag, level in (
        (0.1 + 0.2, 2**40 - 1, -0.0, 2**53 + 1, False, "null", 1),
        (1e-5, 1, 5e-324, -(2**62), True, "1e5", 2.5),
        (1 / 3, 32, 1.0, 0, False, "true", 1),
        (0.5, 7, 1e-300, 1, True, "1", 2.5),
        (0.25, 8, 0.1, 2, True, "a,b", 1),
        (0.25, 8, 0.2, 2, True, 'say "so"', 1),
        (0.25, 8, 0.3, 2, True, "cr\rhere", 1),
        (0.25, 8, 0.4, 2, True, "two\nlines", 1),
    )
]
COLUMNS = ", ".join(f"param_{name}" for name in SPACE.names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("points")
    study = Study(name="points", space=SPACE, recipe=Recipe(learning_rate=0.1, epochs=1))
    at = datetime(2026, 11, 24, tzinfo=UTC)
    with StudyWriter.open(str(folder / "trials"), study, versions={}) as writer:
        for number, point in enumerate(POINTS):
            key: dict[str, Any] = {
                "study": "points",
                "trial_id": f"points/{number}",
                "number": number,
                "attempt": 1,
            }
            key["params"] = as_json_text(point)
            recipe = as_json_text(study.recipe.as_dict())
            end = {"state": State.COMPLETED, "reason": "ran", "objective": 1 - number / 100, "ended_at": at}
            writer.append_many(
                [
                    StartRow(**key, history_seq=0, recipe=recipe, seed=0, started_at=at),
                    TrialRow(**key, **end, seed=0),  # type: ignore[arg-type]  # values of several types
                ]
            )
    return folder


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize(
    "words",
    [
        ["query", "select params from trials order by number"],
        ["query", f"select {COLUMNS} from trials order by number"],
        ["query", f"select number, state, objective, {COLUMNS} from trials order by number"],
        ["query", "select * from trials order by number"],
        ["query", "select * from starts order by number"],
        ["show", "points"],
    ],
)
def test_points_come_back_as_they_were(cli: Cli, tmp_path: Path, words: list[str], form: str) -> None:
    code, out, _ = cli(*words, "--format", form)
    assert code == 0
    file = tmp_path / f"points.{form}"
    file.write_bytes(out.encode())
    assert read_points(str(file), SPACE) == POINTS
    assert [str(point["x"]) for point in read_points(str(file), SPACE)] == [str(p["x"]) for p in POINTS]


def test_fixed_values_are_read_by_their_parameters_types() -> None:
    words = ["tag=1e5", "flag=False", "level=1.0", "lengths=[1, 2]", "x=1e-3", "big=1,000", "optimizer=sgd"]
    found = _parse_assignments(words, SPACE)
    values = {
        "tag": "1e5",
        "flag": False,
        "level": 1,
        "lengths": (1, 2),
        "x": 0.001,
        "big": 1000,
        "optimizer": "sgd",
    }
    assert found == values
    fixed = SPACE.fixed(found)
    assert {name: fixed[name].value for name in values} == values  # type: ignore[union-attr]  # they are constants


@pytest.mark.parametrize("word", ["x=0,5", "x=0_5", "big=1_0", "batch_size=1,5"])
def test_fixed_values_with_decimal_commas_are_refused(word: str) -> None:
    with pytest.raises(InvalidValueError, match=f"--fix {word.partition('=')[0]}: .*group"):
        _parse_assignments([word], SPACE)


@pytest.mark.parametrize(
    "word", ["x=" + "9" * 5000, "x=nan", "lengths=" + "[" * 100_000, "tag=other", "flag=1"]
)
def test_fixed_values_that_are_none_are_refused(word: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        SPACE.fixed(_parse_assignments([word], SPACE))
    assert len(str(caught.value)) < 500


def test_an_unknown_name_is_shown_with_the_known_names() -> None:
    with pytest.raises(UnknownNameError, match="unknown parameter 'tagg'; known: tag"):
        _parse_assignments(["tagg=1"], SPACE)
