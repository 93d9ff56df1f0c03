"""No module of the packages loads a file in a way that may run code which the file's author put into it.

Checkpoints are read as data (``weights_only=True``); a program of torch.export is loaded from memory alone,
by the function that has just written it. What Ray carries from a driver to its workers is the driver's own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("eml_models", "tune_jobs", "benchmarks", "examples")

LOADERS = re.compile(
    r"(torch\.export|torch\.jit|torch\.package|torch\.hub|export|jit|pickle|dill|joblib|cloudpickle|marshal"
    r"|shelve)\.(load|loads|open|load_pt2|PackageImporter|Unpickler)|(pandas|pd)\.read_pickle"
)
"""Calls that may run what a file holds, as they are written."""

ALLOWED = {
    ("eml_models/training/exporting.py", "_read_back", "torch.export.load"),
    ("tune_jobs/on_ray/worker/trainable.py", "iter_messages", "cloudpickle.loads"),
    ("tune_jobs/on_ray/worker/registered.py", "load_parts", "cloudpickle.loads"),
}
"""File, function and call: what this process wrote into memory, and what a worker's own driver sent it."""


def iter_calls(text: str) -> Iterator[tuple[str, ast.Call]]:
    """The calls of a module, each with the function that it stands in."""

    def visit(node: ast.AST, inside: str) -> Iterator[tuple[str, ast.Call]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = node.name
        if isinstance(node, ast.Call):
            yield inside, node
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    return visit(ast.parse(text), "")


def find_risky_loads(text: str) -> list[tuple[str, str]]:
    """Function and call of every load that may run code."""
    found = []
    for inside, call in iter_calls(text):
        name = ast.unparse(call.func)
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if name in ("torch.load", "torch.serialization.load"):
            as_data = given.get("weights_only")
            if not (isinstance(as_data, ast.Constant) and as_data.value is True):
                found.append((inside, name))
        elif LOADERS.fullmatch(name) or (name in ("np.load", "numpy.load") and "allow_pickle" in given):
            found.append((inside, name))
    return found


def names_a_loader(text: str) -> bool:
    """Whether a loader is imported by its bare name, by which `find_risky_loads` would not know it."""
    return any(
        isinstance(node, ast.ImportFrom)
        and (node.module or "").partition(".")[0] in ("torch", "pickle", "cloudpickle", "dill", "joblib")
        and any(
            alias.name in ("load", "loads", "load_pt2", "Unpickler") or alias.asname for alias in node.names
        )
        for node in ast.walk(ast.parse(text))
    )


def test_nothing_loads_what_may_run_code() -> None:
    found, bare = set(), []
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        text, name = path.read_text(), path.relative_to(ROOT).as_posix()
        found |= {(name, *load) for load in find_risky_loads(text)}
        bare += [name] if names_a_loader(text) else []
    assert found == ALLOWED
    assert bare == []


def test_programs_are_read_back_from_the_memory_that_they_were_written_into() -> None:
    tree = ast.parse((ROOT / "eml_models/training/exporting.py").read_text())
    (read_back,) = (f for f in tree.body if isinstance(f, ast.FunctionDef) and f.name == "_read_back")
    (argument,) = read_back.args.args
    assert argument.annotation is not None
    assert ast.unparse(argument.annotation) == "io.BytesIO"
    callers = [
        inside for inside, call in iter_calls(ast.unparse(tree)) if ast.unparse(call.func) == "_read_back"
    ]
    assert callers == ["write_program"]


@pytest.mark.parametrize(
    ("text", "risky"),
    [
        ("def f(x):\n    return torch.load(x, weights_only=True)", False),
        ("def f(x):\n    return torch.load(x)", True),
        ("def f(x, y):\n    return torch.load(x, weights_only=y)", True),
        ("def f(x):\n    return torch.load(x, weights_only=False)", True),
        ("def f(x):\n    return torch.export.load(x).module()", True),
        ("def f(x):\n    return torch.jit.load(x)", True),
        ("def f(x):\n    return pickle.loads(x)", True),
        ("def f(x):\n    return np.load(x, allow_pickle=True)", True),
        ("def f(x):\n    return json.loads(x) + np.load(x)", False),
    ],
)
def test_policy_sees_what_it_is_for(text: str, risky: bool) -> None:
    assert bool(find_risky_loads(text)) == risky
    assert names_a_loader("from torch.export import load")
    assert not names_a_loader("from torch import nn")
