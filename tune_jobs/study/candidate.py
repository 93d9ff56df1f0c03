"""Candidates of a study: recipes that are compared by name, such as the finalists of a search.

A whole recipe is not a point of a space with one parameter for each field. So the space holds the names, and
the study holds the changes that each name stands for. Frozen values; `tune_jobs.study.definition` uses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eml_models.errors import raise_if_any
from tune_jobs.study.space import Space

CANDIDATE = "candidate"
"""The parameter that names one of the study's candidates."""

SAME_FOR_ALL = frozenset({"dataset", "epochs", "seed", "train_on"})
"""Fields of a recipe that no candidate changes: recipes that differ in them cannot be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A recipe that a study compares by name.

    Attributes:
        name: the value of the parameter `CANDIDATE`.
        changes: fields of the study's recipe and their values, as plain data (not to be changed in place).
        baseline: whether the others are compared with it.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    baseline: bool = False

    def __post_init__(self) -> None:
        fixed = [name for name in self.changes if name in SAME_FOR_ALL]
        raise_if_any(
            f"candidate {self.name!r}",
            [f"{name} is the same for all candidates; change the study's recipe instead" for name in fixed],
        )

    def as_json(self) -> dict[str, object]:
        """Plain data for the study's definition."""
        return {"name": self.name, "changes": dict(self.changes), "baseline": self.baseline}


def candidate_problems(candidates: Sequence[Candidate], space: Space) -> Iterator[str]:
    """Problems of a study's candidates: equal names, and names that its space does not match."""
    names = [candidate.name for candidate in candidates]
    yield from (
        f"candidate {name!r} appears twice; rename one"
        for name in sorted({n for n in names if names.count(n) > 1})
    )
    asked = space[CANDIDATE].grid() if CANDIDATE in space.names else None
    unknown = next((value for value in asked or () if value not in names), None)
    if unknown is not None:
        known = ", ".join(names) or "none"
        yield f"parameter {CANDIDATE!r} must name candidates of the study ({known}), got {unknown!r}"
    if names and asked is None:
        yield f"a study with candidates needs them in its space; add Choice({CANDIDATE!r}, {tuple(names)})"
