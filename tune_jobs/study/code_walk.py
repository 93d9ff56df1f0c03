"""The parts of a function that a digest of its code covers, in an order that every process repeats.

A part is the text of a module, compiled code, or a value that the function carries. `code_digest` hashes the
parts. Values are followed through lists, dictionaries, sets, and objects by their state for `pickle`, because
a worker gets a pickled copy. Left out, the same in every process, are:

* the state of what cannot be pickled (a lock, an open file), of which only the type counts;
* the contents of a network's weights, and of arrays and tensors above `MAX_BYTES`: their shape counts;
* whatever comes after the first `MAX_VALUES` values;
* the code of installed packages, of which only names count, and the text of other modules that the text of a
  module imports;
* objects in global variables, of which only the type counts, unless they can be called.
"""

from __future__ import annotations

import builtins
import linecache
import sys
import types
from collections.abc import Iterator
from enum import Enum
from functools import cache, partial
from typing import Any

MAIN = "__main__"
LOADED_TEXT = "__tune_jobs_text__"
"""The name in a module under which `tune_jobs.inputs.user_code` keeps the text that it loaded. The file may
have changed since."""

MAX_VALUES = 20_000
"""Values that a digest covers at most."""

MAX_DEPTH = 100
"""How deep a value may lie within others to count."""

MAX_BYTES = 65_536
"""Bytes of an array or tensor whose contents count."""

LEFT_OUT = b"(left out)"

ATOMS = (bool, int, float, complex, str, bytes, type(None), type(...), range)
CONTAINERS = (list, tuple, dict, set, frozenset)
OURS = ("eml_models", "tune_jobs")
INSTALLED = ("site-packages", "dist-packages")
CACHED = type(cache(len))
"""The type of a function with a cache around it."""


def iter_parts(function: object, *, by_text: bool) -> Iterator[bytes]:
    """The parts of a function or callable object.

    Args:
        by_text: whether the text of a module stands for the functions and classes in it, where each process
            finds that text; else their compiled code does.
    """
    yield from _Walk(by_text=by_text, home=_module_of(function)).value(function)


class _Walk:
    """One walk over a function and what it refers to."""

    def __init__(self, *, by_text: bool, home: str) -> None:
        self._by_text, self._home = by_text, home
        self._seen: set[int] = set()
        self._texts: set[str] = set()
        self._path: list[object] = []
        self._kept: list[object] = []  # so that no later object has the id of an earlier one
        self._num_values = 0

    def value(self, value: Any) -> Iterator[bytes]:
        """The parts of any value."""
        self._num_values += 1
        if self._num_values > MAX_VALUES or len(self._path) > MAX_DEPTH:
            yield LEFT_OUT
            return
        if type(value) in ATOMS:
            yield _bytes_of_atom(value)
            return
        if any(value is outer for outer in self._path):
            yield b"(within itself)"
            return
        self._path.append(value)
        yield _name_of(type(value))
        yield from self._parts_of(value)
        self._path.pop()

    def _parts_of(self, value: Any) -> Iterator[bytes]:
        if isinstance(value, types.FunctionType | type):
            yield from self._code(value)
        elif isinstance(value, types.MethodType):
            yield from self.value(value.__func__)
            yield from self.value(value.__self__)
        elif isinstance(value, types.ModuleType):
            yield self._text_of_other(value)
        elif isinstance(value, types.CodeType):
            yield from self._compiled(value)
        elif type(value) in CONTAINERS:
            yield from self._container(value)
        elif isinstance(value, partial):
            yield from self.value((value.func, value.args, value.keywords))
        elif isinstance(value, property):
            yield from self.value((value.fget, value.fset, value.fdel))
        elif isinstance(value, classmethod | staticmethod | CACHED):
            yield from self.value(value.__wrapped__)
        elif isinstance(value, Enum):
            yield value.name.encode(errors="replace")
        elif (content := _content_of_array(value)) is not None:
            yield content
        elif isinstance(value, types.BuiltinFunctionType) or _is_installed(_module_of(value)):
            yield from self._named(value)
        else:
            yield from self._code(type(value))
            yield from self._state(value)

    def _container(self, value: Any) -> Iterator[bytes]:
        yield str(len(value)).encode()
        if isinstance(value, list | tuple):
            for item in value:
                yield from self.value(item)
        elif isinstance(value, dict):
            for _, key in sorted(((self._apart(key), key) for key in value), key=lambda pair: pair[0]):
                yield from self.value(key)
                yield from self.value(value[key])
        else:
            yield from sorted(self._apart(item) for item in value)

    def _apart(self, value: object) -> bytes:
        """A value that has no place in an order, as bytes that do not depend on the values before it."""
        walk = _Walk(by_text=self._by_text, home=self._home)
        walk._path = list(self._path)
        found = b"\0".join(walk.value(value))
        self._num_values += walk._num_values
        return found

    def _named(self, value: Any) -> Iterator[bytes]:
        """The name of a function of an installed package, or the state of an object of such a class."""
        name = getattr(value, "__qualname__", None)
        if isinstance(name, str):
            yield f"{_module_of(value)}.{name}".encode(errors="replace")
        else:
            yield from self._state(value)

    def _state(self, value: Any) -> Iterator[bytes]:
        """The state of an object, as `pickle` takes it."""
        try:
            reduced = value.__reduce_ex__(4)
        except Exception:  # of any type: it is the object's own method, and a lock or file has no state
            yield LEFT_OUT
            return
        if isinstance(reduced, str):
            yield reduced.encode(errors="replace")
            return
        self._kept.append(reduced)
        build, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        yield _name_of(build)
        for argument in arguments:
            if argument is not type(value):
                yield from self.value(argument)
        yield from self.value(state)
        yield from self.value(list(items or ()))
        yield from self.value(dict(pairs or ()))

    def _code(self, owner: Any) -> Iterator[bytes]:
        """The code of a function or a class: the text of its module, or its compiled code."""
        yield str(owner.__qualname__).encode(errors="replace")
        module = _module_of(owner)
        if module != self._home and _is_installed(module):
            yield module.encode(errors="replace")
            return
        if id(owner) in self._seen:
            return
        self._seen.add(id(owner))
        self._kept.append(owner)
        text = _text_of_module(module) if self._by_text and _is_found(owner) else None
        if text is not None:
            yield from self._once(text)
        elif isinstance(owner, type):
            yield from self._class(owner)
        else:
            yield from self._function(owner)

    def _once(self, text: str) -> Iterator[bytes]:
        if text not in self._texts:
            self._texts.add(text)
            yield text.encode(errors="replace")

    def _class(self, owner: type) -> Iterator[bytes]:
        for base in owner.__bases__:
            yield from self._code(base)
        for name, member in sorted(vars(owner).items()):
            if callable(member) or not name.startswith("__"):
                yield name.encode(errors="replace")
                yield from self.value(member)

    def _function(self, function: Any) -> Iterator[bytes]:
        yield from self._compiled(function.__code__)
        yield from self.value((function.__defaults__, function.__kwdefaults__))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            yield name.encode(errors="replace")
            try:
                held = cell.cell_contents
            except ValueError:  # it is set later
                continue
            yield from self.value(held)
        known = function.__globals__
        for name in sorted(_names_in(function.__code__) & known.keys()):
            if name.startswith("__") or known[name] is vars(builtins).get(name):
                continue
            yield name.encode(errors="replace")
            yield from self._global(known[name])

    def _global(self, value: Any) -> Iterator[bytes]:
        """A global variable; of an object that cannot be called, the type: a program may change it."""
        is_plain = type(value) in (*ATOMS, *CONTAINERS) or callable(value) or isinstance(value, Enum)
        if is_plain or isinstance(value, types.ModuleType):
            yield from self.value(value)
        else:
            yield _name_of(type(value))

    def _compiled(self, code: types.CodeType) -> Iterator[bytes]:
        """The instructions, names and constants of compiled code; neither its path nor its lines."""
        yield code.co_code
        yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_flags)).encode(
            errors="replace"
        )
        for constant in code.co_consts:
            yield from self.value(constant)

    def _text_of_other(self, module: types.ModuleType) -> bytes:
        name = module.__name__
        text = None if _is_installed(name) else _text_of_module(name)
        return (name if text is None else text).encode(errors="replace")


def _bytes_of_atom(value: object) -> bytes:
    """A plain value with its type; a whole number in hexadecimal digits, which have no limit."""
    shown = hex(value) if type(value) is int else repr(value)
    return f"{type(value).__name__} {shown}".encode(errors="replace")


def _name_of(owner: object) -> bytes:
    return str(getattr(owner, "__qualname__", type(owner).__qualname__)).encode(errors="replace")


def _module_of(owner: object) -> str:
    """The module of a function or class; of another object, that of its class."""
    inner = owner.func if isinstance(owner, partial) else owner
    name = getattr(inner, "__module__", None)
    return name if isinstance(name, str) else type(inner).__module__


def _names_in(code: types.CodeType) -> set[str]:
    """The global names and attributes of compiled code, with those of the functions inside it."""
    inner = (_names_in(constant) for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*inner)


def _is_found(owner: Any) -> bool:
    """Whether another process finds this function or class by its name in its module."""
    found: object = sys.modules.get(_module_of(owner))
    for part in str(owner.__qualname__).split("."):
        found = getattr(found, part, None)
    return found is owner


def _is_installed(module: str) -> bool:
    """Whether a module is of Python, of an installed package, or ours, so that its version says enough."""
    top = module.partition(".")[0]
    if module == MAIN:  # of a worker's process that is a file of Ray's, and not where the function comes from
        return False
    if top in sys.stdlib_module_names or top in OURS or top == builtins.__name__:
        return True
    path = getattr(sys.modules.get(module), "__file__", None) or ""
    return any(folder in path for folder in INSTALLED)


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


def _content_of_array(value: Any) -> bytes | None:
    """The kind, shape and contents of an array of NumPy or a tensor of torch; None for any other value."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        kind = f"{value.dtype} {tuple(value.shape)}".encode()
        is_small = value.layout is torch.strided and value.numel() * value.element_size() <= MAX_BYTES
        if isinstance(value, torch.nn.Parameter) or not is_small or value.device.type == "meta":
            return kind
        plain = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
        return kind + bytes(plain.flatten().view(torch.uint8).numpy())
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        kind = f"{value.dtype.str} {value.shape}".encode()
        return kind + value.tobytes() if value.nbytes <= MAX_BYTES and not value.dtype.hasobject else kind
    return None
