"""Counts in words, for whatever is said to people."""

from __future__ import annotations


def count_of(count: int, noun: str, plural: str | None = None) -> str:
    """``1 epoch``, ``2 epochs``, ``1,000 trials``; `plural` where it is not the noun with an s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
