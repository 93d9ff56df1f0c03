"""What all tests of the store share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from store_testing import event, leave_dead, make_study, open_writer, whole_trial


@pytest.fixture(autouse=True)
def fsync_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncing matters only to a machine that loses power, and on a busy disk it is most of these tests' time.

    That it is called, and when, is a test of its own (`test_local`).
    """
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two studies; each with one published trial, and one that only a journal holds."""
    for name in ("s", "other"):
        with open_writer(tmp_path, make_study(name)) as writer:
            writer.append_many(whole_trial(0, name))
        leave_dead(tmp_path, [*whole_trial(1, name), event(study=name)], make_study(name))
    return tmp_path
