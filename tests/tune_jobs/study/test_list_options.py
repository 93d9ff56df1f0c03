"""Parts of list options: put together where a family has the list, left alone elsewhere."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.study.list_options import gather_lists


def test_parts_become_the_lists_of_the_family() -> None:
    parts = {f"width_{stage}": stage / 4 for stage in range(1, 8)}
    whole = gather_lists({**parts, "width_mult": 0.5}, "mobilenet")
    assert whole == {"width_mult": 0.5, "widths": (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75)}


def test_missing_part_is_named() -> None:
    with pytest.raises(
        InvalidValueError, match="widths needs all parts from width_1 to width_7 and no other, got width_1"
    ):
        gather_lists({"width_1": 1.0, "width_2": 1.0}, "mobilenet")


def test_names_that_look_like_parts_are_options_where_there_is_no_list() -> None:
    assert gather_lists({"width_1": 3}, "small_cnn") == {"width_1": 3}
