"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable

Cli = Callable[..., tuple[int, str, str]]
"""Calls it with words; its exit code, stdout and stderr."""
