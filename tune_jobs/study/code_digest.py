"""A short digest of the code that trains a study: equal in every process that loaded the same code.

Sessions and attempts record it, so that a change of code shows beside the results. It is no part of a study's
definition. Reads source files; imports no torch. Called by the driver and by workers.
"""

from __future__ import annotations

import hashlib
import inspect
import linecache
import sys
import types
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import eml_models
from tune_jobs.study.fits import SHIPPED_FITS, Fit, name_of_fit

MAIN = "__main__"
LOADED_TEXT = "__tune_jobs_text__"
"""The name in a module under which `tune_jobs.inputs.user_code` keeps the text that it loaded. The file may
have changed since."""
PLAIN = (bool, int, float, str, bytes, tuple, type(None))


def code_digest(fit: Fit) -> str:
    """Eight hex digits of the code behind a training function.

    For a shipped function the digest covers all files of `eml_models`; for a function of a file or module,
    the text of that file. A function of ``__main__`` (a notebook or script) has no file on other machines.
    Its digest covers its compiled code, its defaults, and the functions, classes, numbers and texts of
    ``__main__`` that it names. Compiled code differs between versions of Python.
    """
    if name_of_fit(fit) in SHIPPED_FITS:
        return _digest_of_package()
    bound = [_stable((fit.args, *sorted(fit.keywords.items())))] if isinstance(fit, partial) else []
    inner = fit.func if isinstance(fit, partial) else fit
    owner = inner if hasattr(inner, "__qualname__") else type(inner)
    text = _text_of_module(str(getattr(owner, "__module__", MAIN)))
    if text is not None:
        return _short(text.encode())
    return _short(*bound, *_iter_compiled(owner, set()))


@cache
def _digest_of_package() -> str:
    folder = Path(eml_models.__file__).parent
    files = sorted(folder.rglob("*.py"))
    return _short(
        *(
            part
            for path in files
            for part in (path.relative_to(folder).as_posix().encode(), path.read_bytes())
        )
    )


def _text_of_module(name: str) -> str | None:
    """The text from which a module was loaded; None if it has no file that other processes can read."""
    module = sys.modules.get(name)
    loaded = getattr(module, LOADED_TEXT, None)
    if loaded is not None:
        return str(loaded)
    path = getattr(module, "__file__", None)
    if name == MAIN or module is None or path is None:
        return None
    return "".join(linecache.getlines(path, vars(module))) or None


def _iter_compiled(owner: object, seen: set[int]) -> Iterator[bytes]:
    """The compiled code of a function or class, and of the parts of its own module that it names."""
    if id(owner) in seen:
        return
    seen.add(id(owner))
    if inspect.isclass(owner):
        for name, member in sorted(vars(owner).items()):
            if inspect.isroutine(member) or inspect.isclass(member):
                yield name.encode()
                yield from _iter_compiled(member, seen)
        return
    function = inspect.unwrap(getattr(owner, "__func__", owner))  # type: ignore[arg-type]  # of a method
    code = getattr(function, "__code__", None)
    if code is None:
        yield type(owner).__qualname__.encode()
        return
    yield from _iter_code(code)
    yield _stable((function.__defaults__, tuple(sorted((function.__kwdefaults__ or {}).items()))))
    for name in sorted(code.co_names):
        value = function.__globals__.get(name)
        if callable(value) and getattr(value, "__module__", None) == function.__module__:
            yield from _iter_compiled(value, seen)
        elif name in function.__globals__ and isinstance(value, PLAIN):
            yield name.encode() + _stable(value)


def _iter_code(code: types.CodeType) -> Iterator[bytes]:
    """The instructions, names and constants of compiled code; neither its path nor its lines."""
    yield code.co_code
    yield repr((code.co_names, code.co_varnames)).encode()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _iter_code(constant)
        else:
            yield _stable(constant)


def _stable(value: object) -> bytes:
    """A value as bytes that are equal in every process: sets in order, and no addresses."""
    if isinstance(value, tuple):
        return b"(" + b",".join(map(_stable, value)) + b")"
    if isinstance(value, frozenset | set):
        return b"{" + b",".join(sorted(map(_stable, value))) + b"}"
    return repr(value).encode() if isinstance(value, PLAIN) else type(value).__qualname__.encode()


def _short(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=4)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
