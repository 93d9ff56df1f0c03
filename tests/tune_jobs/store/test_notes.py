"""Warnings about a store: one record each, marked to be shown once."""

from __future__ import annotations

import logging

import pytest

from tune_jobs.store.notes import ONCE, tell_left_out, tell_note


def test_each_problem_is_a_warning_that_is_shown_once(caplog: pytest.LogCaptureFixture) -> None:
    tell_left_out(["a file", "a 100% odd row"])
    tell_note("W and w are two parameters")
    assert caplog.messages == [
        "left out: a file",
        "left out: a 100% odd row",
        "W and w are two parameters",
    ]
    for record in caplog.records:
        assert (record.name, record.levelno) == ("tune_jobs.store", logging.WARNING)
        assert getattr(record, ONCE)


def test_nothing_left_out_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tell_left_out([])
    assert not caplog.records
