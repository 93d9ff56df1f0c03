"""Differences of two definitions, as a person reads them."""

from __future__ import annotations

import pytest

from tune_jobs.study.differences import differences


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a: was 1, is now 2"]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": None}}}, ["a.b.c: was 1, is now None"]),
        ({"gone": "x"}, {"here": [1, 2]}, ["gone: was 'x', is now None", "here: was None, is now [1, 2]"]),
        ({"rungs": [1, 3]}, {"rungs": [1, 3, 9]}, ["rungs: was [1, 3], is now [1, 3, 9]"]),
        ({"asha": {"min_epochs": 1}}, {"asha": None}, ["asha: was {'min_epochs': 1}, is now None"]),
    ],
)
def test_each_difference_is_a_line_with_its_path_and_both_values(
    old: dict[str, object], new: dict[str, object], lines: list[str]
) -> None:
    assert differences(old, new) == lines


def test_data_of_files_is_compared_by_its_fingerprint_and_shown_in_words() -> None:
    old, moved, other = f"a@{'0a' * 16}.3x8x8.5", f"b@{'0a' * 16}.3x8x8.5", f"a@{'0b' * 16}.3x8x8.5"
    assert differences({"recipe": {"dataset": old}}, {"recipe": {"dataset": moved}}) == []
    assert differences({"recipe": {"dataset": old}}, {"recipe": {"dataset": other}}) == [
        f"recipe.dataset: was data set 'a' with fingerprint {'0a' * 16} (images 3 x 8 x 8, 5 classes),"
        f" is now data set 'a' with fingerprint {'0b' * 16} (images 3 x 8 x 8, 5 classes)"
    ]


def test_parts_with_names_are_compared_by_their_names() -> None:
    """One more parameter in front changes no other parameter."""
    width = {"name": "width", "low": 1, "high": 8}
    depth = {"name": "depth", "low": 1, "high": 4}
    assert differences({"space": [width, depth]}, {"space": [depth, {**width, "high": 9}]}) == [
        "space.width.high: was 8, is now 9"
    ]
    assert differences({"space": [depth]}, {"space": [width, depth]}) == [
        f"space.width: was None, is now {width}"
    ]
