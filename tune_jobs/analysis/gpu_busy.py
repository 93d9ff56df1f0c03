"""The seconds for which trials kept their GPUs busy, and whether their steps wait for launches, from rows.

An attempt of the shipped training on CUDA notes the duration of a training step and the share of it in which
the GPU computes the step (`eml_models.training.step_meter` says how it is measured, and what is left out).
Here the share holds for all of the attempt's epochs after its first step, with their validations. An attempt
that notes none (on a CPU, of own training, killed with its run) counts nowhere, so a study without any has no
busy seconds, rather than 0.

The utilization that NVIDIA's tools show is another figure: the share of time in which any kernel of any
process runs on the card. Called by `tune_jobs.report` and `tune_jobs.on_ray.prometheus`.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from eml_models.wording import count_of
from tune_jobs.study.events import AttemptEnded, AttemptInterrupted, AttemptStarted, detail_of
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.rows import EventKind, EventRow, ReportRow, Row, StartRow

BOUND_BELOW = 0.7
"""Steps are called bound by launches if the GPU computes less than this share of them. An eager ResNet-18 at
batch 128 reached 0.43 on an H200, and its graph all of it."""

EAGER = "eager"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredAttempt:
    """An attempt whose steps were measured on a GPU.

    Attributes:
        gpus: its share of a GPU, or the number of its GPUs; None if unknown.
        execution: ``graph`` or ``eager``, and `eager_because` the reason, as far as it is noted.
        step_s: seconds from step to step.
        busy: the share of them in which the GPU computes the step.
        train_s: seconds of its epochs after its first step.
        batch_size: of its recipe; None if unknown.
    """

    number: int
    attempt: int
    gpus: float | None
    execution: str | None
    eager_because: str | None
    step_s: float
    busy: float
    train_s: float
    batch_size: int | None


def iter_measured(rows: Iterable[Row]) -> Iterator[MeasuredAttempt]:
    """The attempts whose steps were measured and that have ended, in the order of their ends."""
    seconds: defaultdict[tuple[int, int], float] = defaultdict(float)
    gpus: dict[tuple[int, int], float | None] = {}
    batch_sizes: dict[int, int | None] = {}
    for row in rows:
        if row.number is None or not isinstance(row, StartRow | ReportRow | EventRow):
            continue
        key = row.number, row.attempt or 0
        if isinstance(row, StartRow):
            size = parse_object(row.recipe).get("batch_size")
            batch_sizes[row.number] = size if isinstance(size, int) else None
            continue
        if isinstance(row, ReportRow):
            seconds[key] += row.epoch_s or 0.0
            continue
        detail = detail_of(row)
        if isinstance(detail, AttemptStarted):
            gpus[key] = detail.gpus
        elif isinstance(detail, AttemptEnded | AttemptInterrupted):
            if detail.gpu_busy is None or detail.step_s is None:
                continue
            yield MeasuredAttempt(
                number=row.number,
                attempt=row.attempt or 0,
                gpus=gpus.get(key),
                execution=detail.execution,
                eager_because=detail.eager_because,
                step_s=detail.step_s,
                busy=detail.gpu_busy,
                train_s=max(0.0, seconds[key] - (detail.first_step_s or 0.0)),
                batch_size=batch_sizes.get(row.number),
            )


def gpu_busy_s(rows: Iterable[Row]) -> float | None:
    """Seconds for which the trials kept GPUs busy; None if no attempt's steps were measured."""
    found = list(iter_measured(rows))
    return sum(attempt.busy * attempt.train_s for attempt in found) if found else None


def describe_gpu_busy(rows: Iterable[Row]) -> str | None:
    """A sentence with the busy seconds of a study or trial and their share; None if none were measured."""
    found = list(iter_measured(rows))
    if not found:
        return None
    busy_s = sum(attempt.busy * attempt.train_s for attempt in found)
    train_s = sum(attempt.train_s for attempt in found)
    share = f", {100 * busy_s / train_s:.1f} % of them" if train_s else ""
    return (
        f"of {train_s:,.1f} s of training on GPUs, measured in {count_of(len(found), 'attempt')}, the GPU was"
        f" busy for {busy_s:,.1f}{share}"
    )


def describe_launches(rows: Iterable[Row]) -> list[str]:
    """Whether steps wait for launches, with figures, and what to change; empty if they do not."""
    found = list(iter_measured(rows))
    bound = [attempt for attempt in found if attempt.busy < BOUND_BELOW]
    if 2 * len(bound) <= len(found):
        return []
    step_s = statistics.median(attempt.step_s for attempt in bound)
    busy = statistics.median(attempt.busy for attempt in bound)
    which = f" in {len(bound)} of {len(found)} attempts (medians)" if len(found) > 1 else ""
    return [
        f"training is bound by launches{which}: a step takes {1e3 * step_s:.2f} ms, of which the GPU computes"
        f" {1e3 * step_s * busy:.2f} ms ({100 * busy:.0f} %); in the rest it waits for the host. Ways out:"
        f" {'; '.join(_ways_out(bound))}"
    ]


def describe_others(rows: Iterable[Row]) -> list[str]:
    """Which attempts had a GPU to themselves by Ray's count, and shared it with other processes."""
    most: dict[tuple[int, int], int] = {}
    devices: set[str] = set()
    for row in rows:
        if not isinstance(row, EventRow) or row.kind is not EventKind.ATTEMPT_STARTED or row.number is None:
            continue
        detail = detail_of(row)
        if isinstance(detail, AttemptStarted) and detail.others_bytes:
            most[row.number, row.attempt or 0] = detail.others_bytes
            devices.add(f"{row.device} of {row.node}")
    if not most:
        return []
    return [
        f"processes beside the study held up to {max(most.values()) / 1e9:.1f} GB of the GPU when"
        f" {count_of(len(most), 'attempt')} began ({', '.join(sorted(devices))}); their times and memory are"
        " not those of a GPU of their own"
    ]


def _ways_out(bound: Sequence[MeasuredAttempt]) -> Iterator[str]:
    """What to change, the greatest gain first."""
    eager = [attempt for attempt in bound if attempt.execution == EAGER]
    if eager:
        reasons = sorted({attempt.eager_because for attempt in eager if attempt.eager_because})
        why = f" (now eager: {'; '.join(reasons)})" if reasons else " (now eager)"
        yield f"replay the steps as graphs, --execution auto{why}"
    sizes = sorted({attempt.batch_size for attempt in bound if attempt.batch_size is not None})
    now = f" (now {sizes[0]}" + (f" to {sizes[-1]})" if len(sizes) > 1 else ")") if sizes else ""
    yield f"a larger batch{now}"
    shares = [attempt.gpus for attempt in bound if attempt.gpus is not None]
    if shares and min(shares) < 1:
        yield f"more trials a GPU (now {round(1 / min(shares))}), with a smaller --gpus-per-trial"
    else:
        yield "several trials a GPU, --gpus-per-trial auto"
