"""Public names that are imported at their first use."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from eml_models.lazy import lazy_names


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package whose names come from modules of the standard library."""
    module = ModuleType("lazily")
    monkeypatch.setitem(sys.modules, "lazily", module)
    homes = {"fmean": "statistics", "sqrt": "math", "lost": "math"}
    module.__getattr__, module.__dir__ = lazy_names("lazily", homes)  # type: ignore[method-assign]  # a module's own
    return module


def test_name_is_imported_once(package: ModuleType) -> None:
    assert "sqrt" not in vars(package)
    assert package.sqrt(9) == 3
    assert vars(package)["sqrt"](16) == 4


def test_names_are_listed_before_their_import(package: ModuleType) -> None:
    assert {"fmean", "sqrt"} <= set(dir(package))


@pytest.mark.parametrize("name", ["unknown", "lost"])
def test_unknown_name_is_an_attribute_error(package: ModuleType, name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(package, name)
