"""The progress of a run in a notebook: one line below the cell, which each look replaces.

Needs no widgets, only the display that every notebook has. Called by `progress`; IPython is imported only if
this process runs in a notebook, so it is there.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK_S = 0.25
"""Least seconds between two updates: a notebook keeps each message of a cell."""

STARTING = "starting: on Ray the first trial begins after 5 to 20 seconds"
"""The line before the first progress."""


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook. Imports nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


@contextmanager
def cell_line(*, elapsed: Callable[[], float] = time.monotonic) -> Iterator[Callable[[str], None]]:
    """A function that shows a line below the cell during the block; the last line stays.

    Args:
        elapsed: gives seconds that never step.
    """
    from IPython.display import display

    # tqdm, which Ray and Optuna import, asks every notebook for widgets; nothing here draws any
    warnings.filterwarnings("ignore", message="IProgress not found")

    def content(text: str) -> dict[str, str]:
        return {"text/plain": text}

    handle = display(content(STARTING), raw=True, display_id=True)
    shown, newest, next_at = STARTING, STARTING, elapsed()

    def update() -> None:
        nonlocal shown
        if newest != shown:
            shown = newest
            handle.update(content(newest), raw=True)

    def show(text: str) -> None:
        nonlocal newest, next_at
        newest = text
        if elapsed() >= next_at:
            next_at = elapsed() + LOOK_S
            update()

    try:
        yield show
    finally:
        update()
