"""Errors: one tree, the exit codes of its branches, and the drawing of it."""

from __future__ import annotations

import inspect

import pytest

from eml_models.errors import EmlError, InvalidValueError, UnknownNameError
from tune_jobs import errors

OWN = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, EmlError) and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.__name__)
def test_each_error_is_drawn_in_the_tree(kind: type[EmlError]) -> None:
    lines = [line for line in (errors.__doc__ or "").splitlines() if f"── {kind.__name__} " in line]
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownNameError("study", "x", ["y"]), 2),
        (errors.StudyChangedError("x"), 2),
        (errors.QueryError("x"), 2),
        (errors.StoreMissingError("x"), 2),
        (errors.StoreError("x"), 1),
        (errors.StoreLockedError("x"), 1),
        (errors.StoreVersionError("x", found=9, known=1), 1),
        (errors.SegmentGoneError("x"), 1),
        (errors.JobError("x"), 1),
        (errors.RunFailedError("x"), 1),
    ],
)
def test_wrong_usage_has_its_own_exit_code(error: EmlError, code: int) -> None:
    assert errors.exit_code(error) == code


def test_another_version_is_named_with_the_way_out() -> None:
    assert str(errors.StoreVersionError("/a/b", found="7", known=1)) == (
        "'/a/b' has version 7 of the store's format; this program reads version 1 alone. Use the tune-jobs"
        " that wrote it, or name another store with --store"
    )


def test_notebook_shows_the_message_of_a_failed_request_alone() -> None:
    """IPython calls this in the place of its traceback."""
    assert errors.StoreError("disk full")._render_traceback_() == ["StoreError: disk full"]
    assert not hasattr(InvalidValueError("wrong"), "_render_traceback_")  # the line that is wrong helps there
