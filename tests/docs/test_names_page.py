"""The reference of Python has every public name once, and a public value says what each of its fields is."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from building.names import (
    LIST,
    PACKAGES,
    expand_names,
    inner_names,
    public_name,
    readable_signature,
    ready_for_sphinx,
)

from tune_jobs import Study, TrialRun

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
PUBLIC = {
    f"{package.__name__}.{name}": getattr(package, name) for package in PACKAGES for name in package.__all__
}
VALUES = {name: thing for name, thing in PUBLIC.items() if is_dataclass(thing)}


def test_each_public_name_is_on_the_page_once() -> None:
    listed = [name for names in LIST.findall(PAGE) for name in names.split()]
    assert sorted(listed) == sorted(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_name_has_a_docstring_of_its_own(name: str) -> None:
    assert (PUBLIC[name].__doc__ or "").strip()
    assert not (PUBLIC[name].__doc__ or "").startswith(f"{name.rpartition('.')[2]}(")  # as dataclasses write


@pytest.mark.parametrize("name", sorted(VALUES))
def test_each_field_of_a_public_value_is_described(name: str) -> None:
    texts = [kind.__doc__ or "" for kind in VALUES[name].__mro__ if is_dataclass(kind)]
    described = {
        word
        for line in re.findall(r"^ +([\w, ]+): ", "\n".join(texts), re.M)
        for word in line.strip().split(", ")
    }
    mentioned = set(re.findall(r"`(\w+)`", "\n".join(texts)))
    given = {field.name for field in fields(VALUES[name]) if field.init and not field.name.startswith("_")}
    assert sorted(given - described - mentioned) == []


@pytest.mark.parametrize(
    ("name", "directives"),
    [
        ("tune_jobs.run_study", [".. autofunction:: tune_jobs.run_study"]),
        ("tune_jobs.Study", [".. autoclass:: tune_jobs.Study", "   :members:"]),
        ("tune_jobs.State", [".. autoclass:: tune_jobs.State", "   :members:", "   :undoc-members:"]),
        ("tune_jobs.StoreError", [".. autoexception:: tune_jobs.StoreError", "   :show-inheritance:"]),
        (
            "tune_jobs.RunResults",
            [".. autoclass:: tune_jobs.RunResults", "   :members:", "   :show-inheritance:"],
        ),
    ],
)
def test_name_becomes_the_directive_of_its_kind(name: str, directives: list[str]) -> None:
    page = expand_names(f"# Page\n\n```{{names}}\n{name}\n```\n")
    assert page == "\n".join(["# Page", "", "```{eval-rst}", *directives, "", "```", ""])


def test_members_of_an_inner_base_belong_to_the_public_class() -> None:
    assert "   :inherited-members: object" in expand_names("```{names}\ntune_jobs.TrialStore\n```\n")


def test_reference_to_a_module_leads_to_the_public_name() -> None:
    assert public_name("tune_jobs.study.definition.Study") == public_name("Study") == "tune_jobs.Study"
    assert public_name("tune_jobs.study.candidate.Candidate") is None
    assert {"Candidate", "LatencyMode"} <= inner_names()
    assert "Canddiate" not in inner_names()


def test_signature_has_default_values_as_python_and_no_inner_field() -> None:
    assert readable_signature(Study, "(a: Asha = <factory>, b=<X.Y: 1>, c=<function f at 0x1>)") == (
        "(a: Asha = ..., b=X.Y, c=f)"
    )
    assert "epochs" in readable_signature(TrialRun, "(...)")
    assert "_checkpoints" not in readable_signature(TrialRun, "(...)")


def test_docstring_is_changed_where_napoleon_would_read_a_type() -> None:
    lines = ["A value: of a field."]
    ready_for_sphinx("property", property(), lines)
    assert lines == ["..", "", "A value: of a field."]
    lines = ["A `Study` of `names`.", "", "Attributes:", "    low, high: bounds."]
    ready_for_sphinx("class", Study, lines)
    assert lines == ["A :py:obj:`Study` of `names`.", "", "Args:", "    low,high: bounds."]
