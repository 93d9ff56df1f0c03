"""Each library has a range with a lower end, which `make test-oldest` installs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from oldest_versions import PROJECT, oldest_versions
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
TABLE = tomllib.loads(PROJECT.read_text())["project"]


def test_oldest_versions_are_within_the_ranges_and_are_of_every_library() -> None:
    oldest = dict(line.split("==") for line in oldest_versions())
    for text in [*TABLE["dependencies"], *TABLE["optional-dependencies"]["s3"]]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(Version(oldest[requirement.name]))
    assert "pytest" not in oldest


def test_oldest_versions_are_printed_as_pip_reads_them() -> None:
    program = ROOT / "tests" / "oldest_versions.py"
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == list(oldest_versions())


def test_range_without_a_lower_end_is_refused(tmp_path: Path) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\ndependencies = ["torch<3"]\noptional-dependencies = {}\n')
    with pytest.raises(ValueError, match=r"must have one lower end \(>=\), got 'torch<3'"):
        list(oldest_versions(project))


def test_extra_of_the_tools_has_the_ranges_of_the_libraries() -> None:
    """What the tests install of an optional library is what a user does."""
    extras = TABLE["optional-dependencies"]
    named = {Requirement(text).name: text for text in extras["dev"]}
    for text in [*extras["s3"], *extras["onnx"], *extras["lightning"], *extras["figures"]]:
        assert named[Requirement(text).name] == text
