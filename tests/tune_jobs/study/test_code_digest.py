"""A digest of the training code is equal wherever the same code was loaded, and changes with the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import eml_models
from tune_jobs.inputs.user_code import load_study
from tune_jobs.study.code_digest import code_digest
from tune_jobs.study.fits import fit_and_test, fit_recipe

FILE = """
from eml_models import Recipe
from tune_jobs import Float, Space, Study

def fit(recipe, **options):
    return iter({values})

def mine():
    space = Space(Float("learning_rate", 0.1, 1))
    return Study(name="mine", space=space, recipe=Recipe(learning_rate=0.1, epochs=1), fit=fit)
"""

SCRIPT = """
import sys
from tune_jobs.study.code_digest import code_digest

WEIGHT = 3

def helper(x):
    return {{1, 2, 3}} if x == {constant} else set()

def fit(recipe, **options):  # {comment}
    return helper(recipe)

print(code_digest(fit))
if "pickled" in sys.argv:
    import subprocess
    from ray import cloudpickle
    text = cloudpickle.dumps(fit).hex()
    code = "import sys, pickle; from tune_jobs.study.code_digest import code_digest;"
    code += "print(code_digest(pickle.loads(bytes.fromhex(sys.stdin.read()))))"
    words = [sys.executable, "-c", code]
    print(subprocess.run(words, input=text, text=True, capture_output=True, check=True).stdout)
"""


def of_file(path: Path, values: str) -> str:
    path.write_text(FILE.format(values=values))
    return code_digest(load_study(f"{path}:mine")[0].fit)


def of_script(path: Path, *words: str, constant: int = 7, comment: str = "") -> list[str]:
    path.write_text(SCRIPT.format(constant=constant, comment=comment))
    done = subprocess.run([sys.executable, path, *words], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_shipped_functions_stand_for_the_whole_package() -> None:
    assert code_digest(fit_recipe) == code_digest(fit_and_test)
    assert len(code_digest(fit_recipe)) == 8


def test_shipped_digest_changes_with_any_file_of_the_package(tmp_path: Path) -> None:
    code = "import eml_models, sys; eml_models.__file__ = sys.argv[1];"
    code += (
        "from tune_jobs.study.code_digest import code_digest; from tune_jobs.study.fits import fit_recipe;"
    )
    code += "print(code_digest(fit_recipe))"

    def digest() -> str:
        words = [sys.executable, "-c", code, str(tmp_path / "__init__.py")]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file.py").write_text("x = 1")
    before = digest()
    assert before == digest()
    (tmp_path / "deep" / "file.py").write_text("x = 2")
    assert before != digest()
    assert Path(eml_models.__file__).is_file()


def test_file_stands_for_its_text_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    digests = [
        of_file(tmp_path / "a.py", "()"),
        of_file(tmp_path / "elsewhere" / "a.py", "()"),
        of_file(tmp_path / "a.py", "[]"),
    ]
    assert digests[0] == digests[1] != digests[2]


def test_digest_is_of_the_text_that_was_loaded_not_of_the_file_now(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    first, second = of_file(path, "()"), of_file(path, "[]")
    assert of_file(path, "()") == first != second


def test_module_that_is_edited_after_its_import_stands_for_what_was_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("edited_later", "never_edited"):
        (tmp_path / f"{name}.py").write_text(FILE.format(values="()"))
    studies = [load_study(f"{name}:mine")[0] for name in ("edited_later", "never_edited")]
    (tmp_path / "edited_later.py").write_text(FILE.format(values="[]"))
    edited, never = (code_digest(study.fit) for study in studies)
    assert edited == never


def test_module_stands_for_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name, values in (("digest_one", "()"), ("digest_two", "()"), ("digest_three", "[]")):
        (tmp_path / f"{name}.py").write_text(FILE.format(values=values))
    one, two, three = (code_digest(load_study(f"digest_{n}:mine")[0].fit) for n in ("one", "two", "three"))
    assert one == two != three


def test_function_of_a_script_stands_for_its_compiled_code_and_its_helpers(tmp_path: Path) -> None:
    (plain,) = of_script(tmp_path / "a.py")
    (elsewhere,) = of_script(tmp_path / "b.py", comment="a word more")
    (mended,) = of_script(tmp_path / "a.py", constant=8)
    assert plain == elsewhere != mended


def test_worker_that_unpickles_a_function_finds_the_same_digest(tmp_path: Path) -> None:
    here, there = of_script(tmp_path / "a.py", "pickled")
    assert here == there


@pytest.mark.parametrize(
    "text",
    [
        "def fit(recipe, **options):\n    return [{value}]\n",
        "RATE = {value}\ndef fit(recipe, **options):\n    return [RATE]\n",
        "def fit(recipe, rate={value}):\n    return [rate]\n",
        "def fit(recipe, *, rate={value}):\n    return [rate]\n",
        "def rate():\n    return {value}\ndef fit(recipe):\n    return [rate()]\n",
        "class Rate:\n    def get(self):\n        return {value}\ndef fit(recipe):\n    return Rate()\n",
        "from functools import partial\ndef of(recipe, rate):\n    pass\nfit = partial(of, rate={value})",
    ],
)
def test_notebook_cell_has_a_digest_without_a_file(text: str) -> None:
    digests = []
    for value in (1, 1, 2):
        cell = text.format(value=value)
        space: dict[str, object] = {"__name__": "__main__"}
        exec(compile(cell, "<cell>", "exec"), space)
        digests.append(code_digest(space["fit"]))  # type: ignore[arg-type]  # it is that function
    assert digests[0] == digests[1] != digests[2]
