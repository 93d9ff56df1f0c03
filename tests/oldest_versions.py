"""Prints the oldest version of each library that a user installs, by its range in pyproject.toml.

``make test-oldest`` takes them as pip's constraints, so that the tests have seen each lower end. The tools of
the extras `dev` and `bench` are not among them: constraints.txt says which are used.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
TOOLS = ("dev", "bench")


def oldest_versions(project: Path = PROJECT) -> Iterator[str]:
    """``NAME==VERSION`` of each library.

    Raises:
        ValueError: a range has no lower end.
    """
    table = tomllib.loads(project.read_text())["project"]
    extras = [texts for name, texts in table["optional-dependencies"].items() if name not in TOOLS]
    for text in [*table["dependencies"], *(text for texts in extras for text in texts)]:
        requirement = Requirement(text)
        ends = [clause.version for clause in requirement.specifier if clause.operator == ">="]
        if len(ends) != 1:
            raise ValueError(f"the range of a library must have one lower end (>=), got {text!r}")
        yield f"{requirement.name}=={ends[0]}"


if __name__ == "__main__":
    print(*oldest_versions(), sep="\n")
