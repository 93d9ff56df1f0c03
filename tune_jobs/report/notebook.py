"""The progress of a run in a notebook: one line below the cell, which each look replaces.

Needs no widgets, only the display that every notebook has. IPython is imported only if this process runs in a
notebook, so it is there. Called by `progress` and `tune_jobs.results.running`.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK_S = 0.25
"""Least seconds between two updates: a notebook keeps each message of a cell."""

STARTING = "starting ..."
"""The line before the first progress."""

STARTING_RAY = "starting: on Ray the first trial begins after 5 to 20 seconds"
"""The same for a run on Ray."""


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook. Imports nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def expect_no_widgets() -> None:
    """Keep tqdm (which Optuna imports) and Ray from advising a notebook to install widgets: none is drawn.

    Both advise while they are imported, so this comes before.
    """
    if in_notebook():
        warnings.filterwarnings("ignore", message="IProgress not found")
        logging.getLogger("ray.widgets").setLevel(logging.WARNING)


@contextmanager
def cell_line(
    *, first: str = STARTING, elapsed: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[str], None]]:
    """A function that shows a line below the cell during the block; the last line stays.

    Args:
        first: the line until there is another; it does not stay.
        elapsed: gives seconds that never step.
    """
    from IPython.display import display

    def content(text: str) -> dict[str, str]:
        return {"text/plain": text}

    handle = display(content(first), raw=True, display_id=True)
    shown, newest, next_at = first, "", elapsed()

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
