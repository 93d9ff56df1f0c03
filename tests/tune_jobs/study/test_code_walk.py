"""A digest covers what a function carries, and is the same in every process that has the same code."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tune_jobs.study.code_digest import code_digest, cost_digest, parts_of

MODULE = """
import threading
from functools import lru_cache, partial, wraps

SHARE = {value}
TABLE = {{"a": [{value}], "b": {{"x", "y", "z"}}}}

def plain(params, run=None):
    return even(3)

def even(n):
    return n == 0 or odd(n - 1)

def odd(n):
    return n != 0 and even(n - 1) and SHARE

@lru_cache
def cached(params, run=None):
    return SHARE

def share(n=1):
    return (SHARE, n)

def decorated(function):
    @wraps(function)
    def call(*words):
        return function(*words), {value}
    return call

def closure(held):
    def train(params, run=None):
        return held
    return train

class Part:
    __slots__ = ("held", "lock")
    def __init__(self, held):
        self.held, self.lock = held, threading.Lock()

class Trainer:
    def __init__(self, held):
        self.held = held
    def __call__(self, params, run=None):
        return self.held
    def train(self, params, run=None):
        return self.held

MADE = {{
    "function": plain,
    "cached": cached,
    "lambda": lambda params, run=None: {value},
    "lambda of a global": lambda params, run=None: SHARE,
    "lambda of a table": lambda params, run=None: [TABLE["a"] for _ in range(3)],
    "lambda of a helper": lambda params, run=None: share(),
    "decorated": decorated(closure(0)),
    "closure": closure({value}),
    "closure of a set": closure({{"a", "b", "c", "d", {value}}}),
    "closure of a closure": closure(closure([{value}])),
    "closure of an object": closure(Part({value})),
    "closure of a class": closure(type("Local", (), {{"value": {value}}})),
    "partial": partial(plain, run={value}),
    "partial of a partial": partial(partial(plain, {value}), run=1),
    "object": Trainer({value}),
    "object with objects": Trainer({{"a": Trainer(frozenset(["x", "y", "{value}"]))}}),
    "method": Trainer({value}).train,
}}
"""

SHOW = """
for name, function in functions.items():
    print(name, code_digest(function), cost_digest(function), sep="|")
"""
DIGEST = "from tune_jobs.study.code_digest import code_digest, cost_digest\n"
IMPORTED = f"{DIGEST}from made import MADE as functions\n{SHOW}"
UNPICKLED = f"""
import pickle
{DIGEST}
texts = pickle.loads(open("pickled", "rb").read())
functions = {{name: pickle.loads(text) for name, text in texts.items()}}
{SHOW}"""
"""Each function alone, as workers get theirs."""


def digests(folder: Path, script: str, *, seed: int) -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("|") for line in done.stdout.splitlines()]
    return {name: found for name, *found in lines}


def made_in(folder: Path, value: object) -> Path:
    folder.mkdir()
    (folder / "made.py").write_text(MODULE.format(value=value))
    return folder


PICKLE = """
import pickle, made
from ray import cloudpickle
texts = {name: cloudpickle.dumps(f) for name, f in made.MADE.items() if "of an object" not in name}
open("pickled", "wb").write(pickle.dumps(texts))
"""


def test_every_function_has_one_digest_in_all_processes_and_another_when_its_values_change(
    tmp_path: Path,
) -> None:
    one, two = made_in(tmp_path / "one", 7), made_in(tmp_path / "two", 8)
    found, other = digests(one, IMPORTED, seed=1), digests(two, IMPORTED, seed=1)
    assert found == digests(one, IMPORTED, seed=2)
    for name, of_seven in found.items():
        assert of_seven[0] != other[name][0], name
        assert of_seven[1] != other[name][1], name
    subprocess.run([sys.executable, "-c", PICKLE], cwd=one, check=True)
    for name, of_worker in digests(one, UNPICKLED, seed=3).items():
        assert of_worker == found[name], name


def closure_of(held: object) -> Any:
    return lambda params, run=None: held


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, 1.0),
        (1, True),
        ("1", 1),
        ([10**5000], [10**5000 + 1]),
        ([1, [2]], [[1], 2]),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        (np.array([1.0, 2.0]), np.array([1.0, 3.0])),
        (np.float64(1.0), np.float64(2.0)),
        (torch.tensor([1.0]), torch.tensor([2.0])),
        (torch.tensor([1.0], dtype=torch.bfloat16), torch.tensor([2.0], dtype=torch.bfloat16)),
        (torch.nn.Linear(2, 2), torch.nn.Linear(2, 3)),
        (partial(int, base=2), partial(int, base=3)),
        (np.mean, np.median),
        (lambda: 1, lambda: 2),
        (len, max),
    ],
)
def test_another_value_is_noticed(one: object, other: object) -> None:
    assert code_digest(closure_of(one)) != code_digest(closure_of(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({1, 2, 3}, {3, 2, 1}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (threading.Lock(), threading.Lock()),
        (object(), object()),
        (torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)),
        (np.zeros(10**5), np.ones(10**5)),
        (iter([]), iter([])),
    ],
)
def test_what_says_nothing_of_the_code_is_left_out(one: object, other: object) -> None:
    assert code_digest(closure_of(one)) == code_digest(closure_of(other))


def test_values_without_an_end_have_a_digest() -> None:
    around: list[object] = []
    around.append(around)
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    for held in (around, deep, list(range(10**5))):
        assert len(code_digest(closure_of(held))) == 8


def test_main_module_of_a_worker_is_an_installed_file_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell: dict[str, Any] = {"__name__": "__main__"}
    text = "class Trainer:\n    def __call__(self, params, run):\n        return {'iou': 1}\nmade = Trainer()"
    exec(compile(text, "<cell>", "exec"), cell)
    here = code_digest(cell["made"])
    path = "/venv/lib/python3/site-packages/ray/_private/workers/default_worker.py"
    monkeypatch.setattr(sys.modules["__main__"], "__file__", path, raising=False)
    assert code_digest(cell["made"]) == here


def test_cost_function_has_a_digest_of_its_own() -> None:
    def macs(params: dict[str, Any]) -> dict[str, float]:
        return {"macs": 1}

    def train(params: dict[str, Any], run: Any) -> dict[str, float]:
        return {"iou": 1}

    assert cost_digest(None) is None
    assert code_digest(train, macs) == f"{code_digest(train)}+{cost_digest(macs)}"
    assert parts_of(code_digest(train, macs)) == (code_digest(train), cost_digest(macs))
    assert parts_of(code_digest(train)) == (code_digest(train), "")


COSTS = """
def train(params, run):
    return {{"iou": {trained}}}

def count(params):
    return {counted}

def cost(params):
    return {{"macs": count(params)}}
"""


def test_cost_function_keeps_its_digest_when_the_training_in_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for name, words in (("first", (1, 1)), ("trained", (2, 1)), ("counted", (1, 2))):
        text = COSTS.format(trained=words[0], counted=words[1])
        (tmp_path / f"costs_{name}.py").write_text(text)
        module = __import__(f"costs_{name}")
        found.append(parts_of(code_digest(module.train, module.cost)))
    first, trained, counted = found
    assert first[0] != trained[0]
    assert first[1] == trained[1]
    assert first[1] != counted[1]
