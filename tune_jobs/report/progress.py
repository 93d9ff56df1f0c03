"""The progress of a run: a live line on a terminal or below the cell of a notebook, log lines elsewhere.

In a job's log, which people read with `logs --follow` or in the dashboard, a live line would become hundreds
of lines. There a line is written when something has happened, else every half minute. If stderr is a file,
lines begin after half a minute, because a short run needs none. Called by `tune_jobs.cli.run_commands` and
`tune_jobs.results.running`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from eml_models.wording import count_of
from tune_jobs.report.column_numbers import LARGE, whole
from tune_jobs.report.notebook import STARTING, STARTING_RAY, cell_line, in_notebook
from tune_jobs.report.sparkline import levels_of, sparkline
from tune_jobs.report.terminal import PLAIN, Paint, Tone, paint_of
from tune_jobs.report.text import format_value
from tune_jobs.session.attempt import Progress
from tune_jobs.session.settings import ProgressListener
from tune_jobs.store.provenance import job_id
from tune_jobs.study.instants import utc_now

LINE_PERIOD_S = 30.0
"""Seconds to the next line if no milestone has come."""

LINE_GAP_S = 2.0
"""The least time between two lines; a milestone in between is in the next line."""

SHORT = 8
"""Characters of the line of the best so far; 16 would not fit into a terminal of 80."""

NUM_MILESTONES = 10
"""The number of milestones for ended trials alone."""


@contextmanager
def show_progress(*, on_ray: bool = True) -> Iterator[ProgressListener]:
    """A listener that shows progress during the block: in a notebook below the cell, else on stderr.

    Args:
        on_ray: whether the run starts Ray, for which its first trial waits.
    """
    if in_notebook():
        with cell_line(first=STARTING_RAY if on_ray else STARTING) as show:
            yield lambda progress: show(describe(progress))
    elif sys.stderr.isatty():
        with progress_line() as on_progress:
            yield on_progress
    else:
        quiet_s = LINE_PERIOD_S if job_id() is None else 0.0
        yield LogLines(lambda line: print(line, file=sys.stderr, flush=True), quiet_s=quiet_s)


class LogLines:
    """A listener that writes a line at each milestone, and else every half minute.

    Milestones: the first trial has begun, a new best, another failure, another tenth of the trials, the last.

    Args:
        quiet_s: seconds at the beginning without a line.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        quiet_s: float = 0.0,
        elapsed: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._write, self._elapsed, self._now = write, elapsed, now
        self._quiet_until = elapsed() + quiet_s
        self._written_at: float | None = None
        self._seen: tuple[object, ...] = ()

    def __call__(self, progress: Progress) -> None:
        at, seen = self._elapsed(), _milestone(progress)
        if at < self._quiet_until:
            return
        since = float("inf") if self._written_at is None else at - self._written_at
        last = progress.trained >= progress.target and progress.running == 0 and seen != self._seen
        if last or since >= LINE_PERIOD_S or (seen != self._seen and since >= LINE_GAP_S):
            self._written_at, self._seen = at, seen
            self._write(f"{self._now():%H:%M:%S} {describe(progress)}")


def _milestone(progress: Progress) -> tuple[object, ...]:
    """The milestones so far; a change of them is worth a line."""
    tenths = NUM_MILESTONES * progress.trained // progress.target
    began = progress.running > 0 or progress.trained > 0
    return began, tenths, progress.failed, progress.best


@contextmanager
def progress_line() -> Iterator[ProgressListener]:
    """A listener that keeps one line of a terminal up to date during the block, and leaves its last state.

    The line has the width that the terminal has at that moment.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console, paint, levels = Console(stderr=True), paint_of(sys.stderr), levels_of(sys.stderr)
    with Live(Text(STARTING), console=console, auto_refresh=False) as live:

        def show(progress: Progress) -> None:
            line = describe(progress, width=console.width, levels=levels, paint=paint)
            live.update(Text.from_ansi(line, no_wrap=True, overflow="crop"), refresh=True)

        yield show


def describe(progress: Progress, *, width: int | None = None, levels: str = "", paint: Paint = PLAIN) -> str:
    """One line: trials done, their states, the best so far, the time used and the time left.

    Args:
        width: of the terminal, in characters; None for no limit. Words that do not fit are left out, the
            least important first; the number of trials and the time left stay. A still narrower line loses
            its left end.
        levels: of the line of the best so far (`sparkline.levels_of`); empty for no such line.
        paint: gives some words the colours of the terminal.
    """
    words = _words_of(progress, levels)
    for left_out in range(len(LEAST_FIRST) + 1):
        line = _joined(words, without=LEAST_FIRST[:left_out])
        if width is None or len(line) <= width:
            painted = {name: paint(text, TONES.get(name)) for name, text in words.items()}
            return _joined(painted, without=LEAST_FIRST[:left_out])
    return line if width is None else line[-width:]


TONES: Mapping[str, Tone] = {
    "failed": Tone.FAILED,
    "infeasible": Tone.REFUSED,
    "running": Tone.LIVE,
    "best": Tone.BEST,
    "line": Tone.BEST,
}
"""The tones of words of the line, in a terminal with colours."""

LEAST_FIRST = (
    "infeasible",
    "stopped",
    "completed",
    "line",
    "best_number",
    "front",
    "running",
    "failed",
    "best",
    "used",
)
"""The words that a narrow line leaves out, in this order."""

OF_BEST = ("best", "best_number", "line")
"""The words on the best trial, in the order of the line."""

COUNTED = ("running", "completed", "stopped", "failed", "infeasible")
"""The states that the line counts, in its order."""


def _words_of(progress: Progress, levels: str) -> dict[str, str]:
    """The words of the line by name; those with nothing to say are absent."""
    counts = {name: getattr(progress, name) for name in COUNTED}
    words = {name: f"{count} {name}" for name, count in counts.items() if count}
    words["trials"] = f"{progress.trained}/{count_of(progress.target, 'trial')}"
    if progress.best is not None:
        best = whole(progress.best) if abs(progress.best) >= LARGE else progress.best
        words["best"] = f"best {format_value(best)}"
        words["best_number"] = f" (trial {progress.best_number})"
    ended = progress.completed + progress.stopped + progress.failed
    if levels and (line := sparkline(progress.bests, ended, levels=levels, width=SHORT)):
        words["line"] = f" {line}"
    if progress.front:
        words["front"] = f"{progress.front} on the front"
    words["used"] = _clock(progress.elapsed_s)
    if left := remaining_s(progress):
        words["left"] = f"{_clock(left)} left"
    return words


def _joined(words: Mapping[str, str], *, without: Sequence[str]) -> str:
    kept = {name: text for name, text in words.items() if name not in without or _is_only_time(name, words)}
    best = "".join(kept.get(name, "") for name in OF_BEST if "best" in kept)
    counts = ", ".join(kept[name] for name in COUNTED if name in kept)
    times = ", ".join(kept[name] for name in ("used", "left") if name in kept)
    return " | ".join(part for part in (kept["trials"], counts, best, kept.get("front"), times) if part)


def _is_only_time(name: str, words: Mapping[str, str]) -> bool:
    """Whether the line would show no time without this word."""
    return name == "used" and "left" not in words


def remaining_s(progress: Progress) -> float | None:
    """Seconds left at this session's pace since its first attempt; None before its first trial has ended.

    0 if more trials are trained than the study now asks for.
    """
    ended = progress.trained - progress.trained_before
    if ended < 1:
        return None
    return progress.working_s / ended * max(0, progress.target - progress.trained)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
