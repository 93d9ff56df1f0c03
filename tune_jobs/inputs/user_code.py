"""A study by its words, and the user's code behind it.

The words are a shipped name, ``package.module:function`` or ``file.py:function``. The function returns a
`Study`; the name of a `Study` that the file makes will do as well. Loading the file may also register model
families and data sets. A worker loads the same text, so it needs no copy of the file. Imports no Ray. Called
by `tune_jobs.cli`, by sessions and by workers.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import linecache
import os
import sys
import traceback
import types
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from eml_models.errors import EmlError, InvalidValueError, UnknownNameError
from tune_jobs.inputs.near_files import nearest_file, nearest_module
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.study.code_walk import LOADED_TEXT
from tune_jobs.study.definition import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCode:
    """A user's module: its name, and for a file also its text.

    Attributes:
        module: the name under which it is imported.
        source: the file's text; None for a module that Python finds by its name.
        path: the file, for tracebacks.
        search_paths: folders to search for its own imports, after the folders of Python.
        words: the words by which a person named the study in it, such as ``file.py:function``.
    """

    module: str
    source: str | None = None
    path: str = ""
    search_paths: tuple[str, ...] = ()
    words: str = ""

    def load(self) -> types.ModuleType:
        """Import the module once per process.

        Raises:
            InvalidValueError: the module cannot be imported; the message ends with the lines of Python.
        """
        if self.module in sys.modules:
            return sys.modules[self.module]
        sys.path.extend(path for path in self.search_paths if path not in sys.path)
        try:
            return self._import() if self.source is None else self._execute(self.source)
        except EmlError as error:  # ours: its words say what is wrong in the file
            frames = traceback.extract_tb(error.__traceback__)
            line = next((frame.lineno for frame in reversed(frames) if frame.filename == self.path), None)
            where = self.path or self.module
            raise InvalidValueError(f"{where}{f', line {line}' if line else ''}: {error}") from error
        except (Exception, SystemExit) as error:  # a user's file may raise anything; the error names it
            own_lines = isinstance(error, SyntaxError)  # its lines say where; of other errors, the last call
            lines = traceback.format_exception_only(error)
            if not own_lines:
                lines = traceback.format_exception(error)[-2:]
            where = "".join(lines).strip()
            name = self.path or self.module
            near = nearest_module(self.module, self.search_paths) if self._is_missing(error) else ""
            raise InvalidValueError(f"could not import {name!r}: {where}{near}") from error

    def _is_missing(self, error: BaseException) -> bool:
        """Whether Python found no module of this name; a module that it imports may be missing too."""
        absent = error.name if isinstance(error, ModuleNotFoundError) and self.source is None else None
        return absent is not None and f"{self.module}.".startswith(f"{absent}.")

    def _import(self) -> types.ModuleType:
        module = importlib.import_module(self.module)
        with suppress(OSError, TypeError):  # without a text, its compiled code serves
            vars(module).setdefault(LOADED_TEXT, inspect.getsource(module))
        return module

    def _execute(self, source: str) -> types.ModuleType:
        module = types.ModuleType(self.module)
        vars(module)[LOADED_TEXT] = source
        module.__file__ = self.path
        linecache.cache[self.path] = (len(source), None, source.splitlines(keepends=True), self.path)
        sys.modules[self.module] = module
        try:
            exec(compile(source, self.path, "exec"), module.__dict__)
        except BaseException:  # an exit of the file too
            del sys.modules[self.module]  # else a second load would find half a module
            raise
        return module


def load_study(target: str) -> tuple[Study, UserCode | None]:
    """The study that `target` names, and the user's code behind it, or None for a shipped study.

    A name of the user's code is that of a function that returns a study, or of the study itself.

    Raises:
        InvalidValueError: unknown name or file; code that raises; or a function that returns no study.
    """
    if ":" not in target:
        return _shipped(target)(), None
    place, _, function = target.rpartition(":")
    code = replace(_find_code(place), words=target)
    module = code.load()
    build = getattr(module, function, None)
    if isinstance(build, Study):
        return build, code
    if not callable(build):
        raise UnknownNameError(f"function in {place}", function, _own_functions(module))
    return _call(build, target), code


def stored_name(target: str) -> str:
    """The name in a store of the study that `target` names.

    Loads the code of ``file.py:function``, so that its networks and data sets are known to later readers of
    the study.
    """
    return load_study(target)[0].name if ":" in target else target


def _shipped(name: str) -> Callable[[], Study]:
    if name in SHIPPED:
        return SHIPPED[name]
    if name.endswith(".py"):
        raise InvalidValueError(f"which function of {name!r} returns the study? Write {name}:FUNCTION")
    raise UnknownNameError("study", name, SHIPPED)


def _find_code(place: str) -> UserCode:
    working = os.getcwd()
    if not place.endswith(".py"):
        return UserCode(module=place, search_paths=(working,))
    try:
        path = Path(place).expanduser()
        source = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError, RuntimeError) as error:  # also a zero byte, or ~ of an unknown user
        raise InvalidValueError(
            f"cannot read {place!r}: {error}; give the path of a Python file{nearest_file(place)}"
        ) from error
    digest = hashlib.blake2b(source.encode(), digest_size=4).hexdigest()
    stem = "".join(c if c.isalnum() else "_" for c in path.stem)
    return UserCode(
        module=f"tune_jobs_user_{stem}_{digest}",
        source=source,
        path=str(path.resolve()),
        search_paths=(str(path.resolve().parent), working),
    )


def _call(build: object, target: str) -> Study:
    assert callable(build)
    try:
        parameters = inspect.signature(build).parameters.values()
    except ValueError as error:  # for example a class that is written in C
        raise InvalidValueError(
            f"{target} must be a function that returns a tune_jobs.Study, got {build!r}; write one"
        ) from error
    required = [
        p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if required:
        raise InvalidValueError(
            f"{target} must take no arguments, but it needs {', '.join(required)}; give them defaults"
        )
    try:
        study = build()
    except EmlError:
        raise
    except (Exception, SystemExit) as error:  # a user's function may raise anything
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise InvalidValueError(
            f"{target} raised {type(error).__name__}: {error} (in {frame.filename}, line {frame.lineno})"
        ) from error
    if not isinstance(study, Study):
        raise InvalidValueError(f"{target} must return a tune_jobs.Study, it returned {type(study).__name__}")
    return study


def _own_functions(module: types.ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if (isinstance(value, Study) or _is_own_function(value, module)) and not name.startswith("_")
    ]


def _is_own_function(value: object, module: types.ModuleType) -> bool:
    return inspect.isfunction(value) and value.__module__ == module.__name__
