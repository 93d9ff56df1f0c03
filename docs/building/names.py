"""The reference of public names: what a list of names on a page becomes, and where a reference to one leads.

A name stands on the page as its package shows it, such as `tune_jobs.Study`, though a module inside defines
it. So a reference to the inner name leads to the public one. Called by `docs/conf.py`.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

from sphinx.util.inspect import signature as signature_of
from sphinx.util.inspect import stringify_signature

import eml_models
import tune_jobs

PACKAGES = (eml_models, tune_jobs)

LIST = re.compile(r"^```\{names\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
"""A list of names, each on a line of its own."""


def expand_names(page: str) -> str:
    """The page with each list of names as directives that Sphinx fills from docstrings."""
    return LIST.sub(lambda found: _block(found[1].split()), page)


def _block(names: list[str]) -> str:
    return "\n".join(["```{eval-rst}", *(line for name in names for line in _directive(name)), "```"])


def _directive(name: str) -> Iterator[str]:
    thing = _thing(name)
    if not inspect.isclass(thing):
        yield f".. autofunction:: {name}"
    elif issubclass(thing, BaseException):
        yield f".. autoexception:: {name}"
        yield "   :show-inheritance:"
    else:
        yield f".. autoclass:: {name}"
        yield "   :members:"
        yield from (f"   {option}" for option in _options(thing))
    yield ""


def _options(thing: type) -> Iterator[str]:
    """What a class needs beside its own members: its values, its public base, members of an inner base."""
    if issubclass(thing, enum.Enum):
        yield ":undoc-members:"
    inner = [base for base in thing.__mro__[1:] if _is_ours(base) and _defined_as(base) not in public_names()]
    described = [base.__name__ for base in thing.__mro__[1:] if base not in inner]
    if inner:
        yield f":inherited-members: {', '.join(described)}"
    elif len(described) > 1 and any(_is_ours(base) for base in thing.__bases__):
        yield ":show-inheritance:"


def _is_ours(thing: type) -> bool:
    return thing.__module__.partition(".")[0] in {package.__name__ for package in PACKAGES}


def _thing(name: str) -> object:
    package, _, own = name.rpartition(".")
    return getattr(importlib.import_module(package), own)


@cache
def public_names() -> dict[str, str]:
    """The public name of each thing by the name under which its module defines it."""
    names = [f"{package.__name__}.{own}" for package in PACKAGES for own in package.__all__]
    return {_defined_as(_thing(name)): name for name in names}


def _defined_as(thing: object) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', repr(thing))}"


def public_name(inner: str) -> str | None:
    """The public name of a thing of the packages, given any name of it; None if it has none."""
    return public_names().get(inner) or _by_own_name().get(inner.rpartition(".")[2])


@cache
def _by_own_name() -> dict[str, str]:
    return {name.rpartition(".")[2]: name for name in public_names().values()}


@cache
def inner_names() -> frozenset[str]:
    """The classes and aliases of the packages that are not public: a signature names them without a link."""
    found: set[str] = set()
    for package in PACKAGES:
        for path in Path(str(package.__file__)).parent.rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    found.add(node.name)
                elif isinstance(node, ast.Assign):
                    found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
                elif isinstance(node, ast.ImportFrom | ast.If):
                    found |= {alias.asname for alias in _aliases(node) if alias.asname}
    return frozenset(found)


def _aliases(node: ast.AST) -> Iterator[ast.alias]:
    return (inside for inside in ast.walk(node) if isinstance(inside, ast.alias))


SEVERAL = re.compile(r"^(\s+\w+(?:, \w+)+):(?= )")
"""Attributes or arguments that share a sentence: ``low, high: the bounds``."""

IN_TICKS = re.compile(r"(?<![`:\w])`([A-Za-z_][\w.]*)`(?!`)")


def ready_for_sphinx(kind: str, thing: object, lines: list[str]) -> None:
    """Change the lines of a docstring, in place, where Sphinx would read something else in them."""
    if kind in ("attribute", "property", "data") and lines and ":" in lines[0]:
        lines[:0] = ["..", ""]  # napoleon takes words before a colon of the first line for a type
    for at, line in enumerate(lines):
        if line.strip() == "Attributes:" and is_dataclass(thing):
            line = line.replace("Attributes", "Args")  # which they are as well
        line = SEVERAL.sub(lambda found: f"{found[1].replace(', ', ',')}:", line)  # else a type and a name
        lines[at] = IN_TICKS.sub(_link, line)


def _link(found: re.Match[str]) -> str:
    return f":py:obj:`{found[1]}`" if public_name(found[1]) else found[0]


AS_SHOWN = (
    (re.compile(r"<factory>"), "..."),
    (re.compile(r"<(?:function|class) '?([\w.]+)[^>]*>"), r"\1"),
    (re.compile(r"<(\w+\.\w+): [^>]*>"), r"\1"),
)
"""Default values that are no Python as Python shows them, and how a signature has them."""


def readable_signature(thing: object, signature: str) -> str:
    """A signature that Sphinx can parse, so that its types are links, without what is inside only."""
    if (
        is_dataclass(thing)
        and isinstance(thing, type)
        and any(field.name[0] == "_" for field in fields(thing))
    ):
        found = signature_of(thing)
        given = [given for given in found.parameters.values() if not given.name.startswith("_")]
        signature = stringify_signature(found.replace(parameters=given), unqualified_typehints=True)
    for shown, written in AS_SHOWN:
        signature = shown.sub(written, signature)
    return signature
