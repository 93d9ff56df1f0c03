"""A mistyped study, file or module: the message asks for the nearest."""

from __future__ import annotations

from pathlib import Path

import pytest

from eml_models.errors import InvalidValueError, UnknownNameError, did_you_mean
from tune_jobs.inputs.near_files import nearest_file, nearest_module
from tune_jobs.inputs.point_files import read_points
from tune_jobs.inputs.shipped import recipe_space
from tune_jobs.inputs.user_code import load_study

MEANT = "did you mean"
CODE = "from tune_jobs.inputs.shipped import digits_recipes\n\ndef my_study():\n    return digits_recipes()\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "near_examples"
    place.mkdir()
    (place / "near_study.py").write_text(CODE)
    (tmp_path / "points.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("digit-recipes", ["mnist", "digits-recipes"], "; did you mean 'digits-recipes'?"),
        ("x", ["digits-recipes"], ""),
        ("digits", ["digits"], ""),
        ("digits", [], ""),
    ],
)
def test_the_nearest_name_is_asked_for_if_it_is_near(name: str, known: list[str], words: str) -> None:
    assert did_you_mean(name, known) == words


def test_unknown_study_ends_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"; did you mean 'digits-recipes'\?$"):
        load_study("digit-recipes")


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("near_exampels/near_study.py:my_study", "near_examples/near_study.py"),
        ("near_examples/near_studdy.py:my_study", "near_examples/near_study.py"),
        ("near_exampels/near_stdy.py:my_study", "near_examples/near_study.py"),
        ("near_exampels.near_study:my_study", "near_examples.near_study"),
        ("near_examples.near_studdy:my_study", "near_examples.near_study"),
        ("near_examples/near_study.py:my_studdy", "my_study"),
    ],
)
def test_mistyped_file_module_or_function_is_asked_for(target: str, meant: str, folder: Path) -> None:
    with pytest.raises(InvalidValueError, match=rf"{MEANT} '{meant}'\?$"):
        load_study(target)


def test_a_module_that_the_users_module_lacks_is_no_mistyped_target(folder: Path) -> None:
    (folder / "near_lacking.py").write_text("import near_exampels\n")
    with pytest.raises(InvalidValueError) as raised:
        load_study("near_lacking:f")
    assert MEANT not in str(raised.value)


def test_mistyped_file_of_points_is_asked_for(folder: Path) -> None:
    with pytest.raises(InvalidValueError, match=rf"{MEANT} 'points.json'\?$"):
        list(read_points("pionts.json", recipe_space()))


@pytest.mark.parametrize("name", ["", "points.json", "zzz/qqq.py", "a\0b.py", "~nobody-here/x.py", "/"])
def test_nothing_is_asked_where_nothing_is_near_or_the_file_exists(name: str, folder: Path) -> None:
    assert nearest_file(name) == ""


def test_no_module_is_near_a_strange_name(folder: Path) -> None:
    assert nearest_module("qqqqqzzzzz", [str(folder)]) == ""
