"""The log of a check: a line for each thing that was looked at, whether it held, and what was seen."""

from __future__ import annotations

import platform
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "cluster"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
WIDEST = 600
"""Characters of a line; more is cut, so that a log stays a page."""


Subject = TypeVar("Subject")
Look = Callable[["Findings", Subject, str], None]
"""Looks at a subject, and writes what it sees under an item."""


@dataclass
class Findings:
    """What a part of the check has seen so far, on the terminal and in its file.

    Attributes:
        part: the name of the part, and of its file.
        wrong: how many lines did not hold.
    """

    part: str
    wrong: int = 0
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        self.path = RESULTS / f"{self.part}.txt"
        self.path.write_text("")
        commit = _output("git", "describe", "--always", "--dirty", "--exclude", "*")
        self.say(f"{self.part}: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}")
        self.say(f"Linux {platform.release()}, {platform.machine()}, Python {platform.python_version()}")

    def say(self, line: str) -> None:
        """Write a line that judges nothing."""
        line = line.replace(str(ROOT), ".")
        text = line if len(line) <= WIDEST else f"{line[:WIDEST]} ..."
        print(text, flush=True)
        with self.path.open("a") as file:
            file.write(f"{text}\n")

    def saw(self, item: str, what: str, held: bool, seen: object = "") -> bool:
        """Write whether something held, with what was seen; returns `held`."""
        self.wrong += not held
        shown = " ".join(COLOURS.sub("", str(seen)).split())
        at = f"{time.perf_counter() - self.began:5.0f} s"
        self.say(f"{item:<4} {'holds ' if held else 'FAILED'} {at}  {what}{': ' if shown else ''}{shown}")
        return held

    @contextmanager
    def section(self, item: str, what: str) -> Iterator[None]:
        """Write an error of a section as a line that did not hold, so that the next section still runs."""
        try:
            yield
        except Exception as error:  # a check that breaks is a finding; the others are to run
            self.saw(item, f"{what} could not be looked at", False, f"{type(error).__name__}: {error}")

    def run(self, item: str, what: str, look: Callable[[], None]) -> None:
        """Run a function as a section."""
        with self.section(item, what):
            look()

    def look_at(self, subject: Subject, *sections: tuple[str, str, Look[Subject]]) -> None:
        """Run a section after the other on one subject: each has its item, its words and its function."""
        for item, what, look in sections:
            with self.section(item, what):
                look(self, subject, item)


def _output(*words: str) -> str:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
