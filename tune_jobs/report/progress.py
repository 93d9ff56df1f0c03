"""The live line of a run on a terminal. On anything else it is silent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tune_jobs.attempt import Progress
from tune_jobs.on_ray.settings import ProgressListener
from tune_jobs.report.tables import format_value


@contextmanager
def progress_line() -> Iterator[ProgressListener]:
    """A listener that keeps one line on stderr up to date while the block runs, and leaves its last state."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(Text("starting Ray ..."), console=Console(stderr=True), auto_refresh=False) as live:
        yield lambda progress: live.update(Text(describe(progress), no_wrap=True), refresh=True)


def describe(progress: Progress) -> str:
    """Trials done, how they ended, the best so far and the time left, in one line."""
    counts = {
        "running": progress.running,
        "completed": progress.completed,
        "stopped": progress.stopped,
        "failed": progress.failed,
        "infeasible": progress.infeasible,
    }
    shown = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    parts = [f"{progress.trained}/{progress.target} trials", *([shown] if shown else [])]
    if progress.best is not None:
        parts.append(f"best {format_value(progress.best)} (trial {progress.best_number})")
    if progress.front:
        parts.append(f"{progress.front} on the front")
    left = remaining_s(progress)
    time_left = f", {_clock(left)} left" if left else ""
    return " | ".join([*parts, f"{_clock(progress.elapsed_s)}{time_left}"])


def remaining_s(progress: Progress) -> float | None:
    """Seconds left at this session's pace since its first attempt; None before its first trial ended."""
    ended = progress.trained - progress.trained_before
    if ended < 1:
        return None
    return progress.working_s / ended * (progress.target - progress.trained)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
