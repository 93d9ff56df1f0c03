"""A study by its words, and the code behind it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from eml_models.errors import InvalidValueError, UnknownNameError
from tune_jobs.inputs.user_code import UserCode, load_study, stored_name

STUDY = """
from tune_jobs.inputs.shipped import digits_recipes

def own():
    return digits_recipes().with_changes(name="own-study")

def needy(argument):
    return own()

def _hidden():
    return own()

made = own().with_changes(name="made-study")
_mine = made
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my file.py"
    path.write_text(STUDY)
    return path


def test_shipped_name_has_no_code() -> None:
    study, code = load_study("digits-recipes")
    assert (study.name, code) == ("digits-recipes", None)
    assert stored_name("any name of a store") == "any name of a store"


def test_text_of_a_file_is_loaded_where_the_file_is_not(file: Path) -> None:
    study, code = load_study(f"{file}:own")
    assert study.name == stored_name(f"{file}:own") == "own-study"
    assert code is not None
    assert code.source == STUDY
    file.unlink()
    del sys.modules[code.module]
    module = UserCode(module=code.module, source=code.source, path="/elsewhere/my.py").load()
    assert module.own().name == "own-study"
    assert module is sys.modules[code.module]


def test_a_study_that_the_file_makes_needs_no_function(file: Path) -> None:
    study, code = load_study(f"{file}:made")
    assert (study.name, code is None) == ("made-study", False)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("onw", "own"),
        ("mad", "made"),
        ("needy", "must take no arguments, but it needs argument; give them defaults"),
    ],
)
def test_function_that_gives_no_study_is_named_with_the_way_out(
    file: Path, function: str, message: str
) -> None:
    with pytest.raises((InvalidValueError, UnknownNameError)) as caught:
        load_study(f"{file}:{function}")
    assert message in str(caught.value)
    assert "_hidden" not in str(caught.value)
    assert "_mine" not in str(caught.value)
