"""Inner names of Ray stand in `tune_jobs/on_ray/private.py` alone, where each has a reason and a test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOME = ROOT / "tune_jobs" / "on_ray" / "private.py"
TESTS = ROOT / "tests" / "tune_jobs" / "on_ray" / "test_private.py"

PUBLIC_MODULES = {
    "ray",
    "ray.exceptions",
    "ray.job_submission",
    "ray.tune",
    "ray.tune.schedulers",
    "ray.tune.search",
    "ray.util.metrics",
    "ray.util.placement_group",
    "ray.util.scheduling_strategies",
}
"""What Ray documents of what is imported here; any other module of Ray counts as inner."""

PUBLIC_VARIABLES = {
    "RAY_ADDRESS",
    "RAY_API_SERVER_ADDRESS",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_TMPDIR",
}
"""Variables that users set, as Ray's documentation tells them to."""

BELOW_RAY = {"tune_jobs/store/provenance.py": {"RAY_JOB_CONFIG_JSON_ENV_VAR"}}
"""Read by the store, which lies below `on_ray`; `private.py` says so, and its test has it too."""

VARIABLE = re.compile(r"(?:RAY|TUNE)_(?!JOBS_)[A-Za-z_]+")
INNER_PATH = re.compile(r"\bray\.(?:\w+\.)*_\w+|\bray\.(?:air|autoscaler|core|dashboard|train)\b")


def inner_names(text: str, *, knows_ray: bool = True) -> Iterator[str]:
    """The inner names of Ray in a file's code; its docstrings and comments may speak of them.

    Args:
        knows_ray: whether the file may import Ray, so that a private name may be one of Ray's.
    """
    tree = ast.parse(text)
    own = _own_names(tree)
    prose = {id(statement.value) for statement in ast.walk(tree) if isinstance(statement, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_inner_module(alias.name))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            if _is_inner_module(module):
                yield module
            elif _is_ray(module):
                yield from (f"{module}.{alias.name}" for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            if VARIABLE.fullmatch(node.value) and node.value not in PUBLIC_VARIABLES:
                yield node.value
            yield from INNER_PATH.findall(node.value)
        elif isinstance(node, ast.Attribute) and INNER_PATH.search(ast.unparse(node)):
            yield ast.unparse(node)
        elif not knows_ray:
            continue
        elif isinstance(node, ast.keyword) and node.arg and node.arg.startswith("_"):
            yield f"{node.arg}="
        elif isinstance(node, ast.Attribute) and node.attr not in own and _is_private(node.attr):
            yield ast.unparse(node)
        elif isinstance(node, ast.ClassDef):
            yield from _overridden(node)


def _is_ray(module: str) -> bool:
    return module == "ray" or module.startswith("ray.")


def _is_inner_module(module: str) -> bool:
    return _is_ray(module) and module not in PUBLIC_MODULES


def _is_private(name: str) -> bool:
    return re.match("_(?!_)", name) is not None


def _own_names(tree: ast.Module) -> set[str]:
    """What the file's own classes define, and what they keep in themselves."""
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    kept = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls")
    }
    return defined | kept


def _overridden(node: ast.ClassDef) -> Iterator[str]:
    """Private names that a class gives to one of Ray's; Ray's class is known by its name."""
    if not any(base.split(".")[-1] in RAYS_CLASSES for base in map(ast.unparse, node.bases)):
        return
    for part in node.body:
        targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
        names = [getattr(part, "name", None), *(getattr(target, "id", None) for target in targets)]
        yield from (f"{node.name}.{name}" for name in names if name and _is_private(name))


RAYS_CLASSES = {"Callback", "FIFOScheduler", "JobSubmissionClient", "Searcher", "Stopper", "TrialScheduler"}
"""Classes of Ray that are extended here."""


def test_inner_names_of_ray_stand_in_private_alone() -> None:
    found = {}
    for path in sorted((ROOT / "tune_jobs").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        inner = set(inner_names(path.read_text(), knows_ray=HOME.parent in path.parents))
        if path != HOME and (others := inner - BELOW_RAY.get(name, set())):
            found[name] = sorted(others)
    assert found == {}, f"these belong into {HOME.relative_to(ROOT)}, with a reason and a test"


@pytest.mark.parametrize(
    "code",
    [
        "from ray._private import services",
        "import ray._private.state",
        "from ray import _raylet",
        "from ray._raylet import GcsClient",
        "from ray.core.generated import gcs_pb2",
        "from ray.autoscaler.v2.utils import is_autoscaler_v2",
        "from ray.air.execution._internal import RayActorManager",
        "from ray.tune.execution import tune_controller",
        "import ray\nray._private.worker.shutdown()",
        "from importlib import import_module\nimport_module('ray._private.state')",
        "import os\nos.environ['TUNE_GLOBAL_CHECKPOINT_S'] = '1'",
        "import os\nos.environ['RAY_gcs_server_request_timeout_seconds'] = '1'",
        "import ray\nray.init(_temp_dir='/somewhere')",
        "client._server_ray_version",
        "class A(FIFOScheduler):\n    _supports_buffered_results = False",
        "class A(ray.job_submission.JobSubmissionClient):\n    def _do_request(self): ...",
    ],
)
def test_inner_name_is_recognised(code: str) -> None:
    assert list(inner_names(code))


@pytest.mark.parametrize(
    "code",
    [
        "from ray import cloudpickle, tune\nfrom ray.tune.schedulers import FIFOScheduler",
        '"""Speaks of `ray._private.state` and RAY_UP_X."""\nimport ray\nray.nodes()',
        "NAME = 'TUNE_JOBS_STORE'\nTEXT = 'say ray://host, or RAY_ADDRESS'",
        "class A(FIFOScheduler):\n    def f(self):\n        return self._bridge",
        "class A:\n    def _write(self): ...\n\nA()._write()",
    ],
)
def test_public_name_is_let_pass(code: str) -> None:
    assert not list(inner_names(code))


def entries() -> dict[str, str]:
    """What `private.py` has by its public names, each with the words that stand by it."""
    body = ast.parse(HOME.read_text()).body
    said = {}
    for part, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(part, ast.FunctionDef):
            said[part.name] = ast.get_docstring(part) or ""
        elif isinstance(part, ast.Assign | ast.AnnAssign):
            target = part.target if isinstance(part, ast.AnnAssign) else part.targets[0]
            words = following.value if isinstance(following, ast.Expr) else None
            said[ast.unparse(target)] = str(words.value) if isinstance(words, ast.Constant) else ""
    return said


@pytest.mark.parametrize(("name", "words"), entries().items())
def test_inner_name_says_what_it_leans_on_since_when_and_what_is_lost_without_it(
    name: str, words: str
) -> None:
    plain = " ".join(words.split())
    assert re.search(r"Leans on .*\(2\.\d+\).* Without it: .+\.", plain), f"{name}: {plain}"


@pytest.mark.parametrize("name", [name for name in entries() if not name.startswith("_")])
def test_inner_name_has_a_test_of_its_own(name: str) -> None:
    assert re.search(rf"\bprivate\.{name}\b", TESTS.read_text())
