"""What all tests of the store share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def fsync_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncing matters only to a machine that loses power, and on a busy disk it is most of these tests' time.

    That it is called, and when, is a test of its own (`test_local`).
    """
    monkeypatch.setattr(os, "fsync", lambda handle: None)
