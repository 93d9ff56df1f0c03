"""A row of the table `latencies`: one network in one mode over one batch, timed on one device.

It belongs to no study. The rows of one run are written together, as one file (`store.latencies`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from eml_models.errors import InvalidValueError, raise_if_any
from tune_jobs.study.json_fields import Rule, is_number, is_text, parse_object, shape_problems


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRow:
    """One timing: the network, the mode, the device, and the times of a whole batch in ms.

    Rows with the same `run` were timed interleaved. `study` and `number` name the trial of the network, or
    are None. `options` is JSON. `macs`, `parameters`, `activations` and `traffic_bytes` are of one image,
    `kernels` is of a forward pass in eager mode. `casting` names the way to 16 bits. `source` says whether
    the batch was in memory or came from a loader, `variant` which part of the network ran
    (`eml_models.latency.bench.cases`). `waterfall` is JSON of where a network's real step went
    (`eml_models.latency.explaining.waterfall`: names, causes and ms of its shares); the row of that step has
    it, at the end of a run that explains. `notes` has one line for each remark (a halved batch, a noisy
    machine).
    """

    table: ClassVar[str] = "latencies"

    run: str
    network: str
    study: str | None = None
    number: int | None = None
    model: str
    options: str
    input_shape: str
    macs: int
    parameters: int
    activations: int
    traffic_bytes: int
    kernels: int
    device: str
    device_name: str
    mode: str
    precision: str
    casting: str
    layout: str
    execution: str
    folded: bool
    source: str
    variant: str
    allocator: str
    kernel_search: bool
    batch_size: int
    requested_batch_size: int
    n: int
    median_ms: float
    q1_ms: float
    q3_ms: float
    threads: int
    torch_version: str
    cudnn_version: int | None = None
    clock_mhz: float | None = None
    load_average: float | None = None
    hostname: str | None = None
    git_commit: str | None = None
    waterfall: str | None = None
    notes: str = ""
    measured_at: datetime

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.q1_ms <= self.median_ms <= self.q3_ms < float("inf"):
            times = f"{self.q1_ms}, {self.median_ms}, {self.q3_ms}"
            problems.append(f"times must be positive, finite and in order, got {times}")
        if self.n < 1 or self.batch_size < 1:
            problems.append(f"n and batch_size must be at least 1, got {self.n} and {self.batch_size}")
        if self.waterfall is not None:
            problems += _iter_waterfall_problems(self.waterfall)
        raise_if_any("latency", problems)


def _is_shares(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(share, dict) and not list(shape_problems(share, _SHARE)) for share in value
    )


_TEXT = Rule("text", is_text, required=True)
_SHARE = {"name": _TEXT, "cause": _TEXT, "how": _TEXT, "ms": Rule("a number", is_number, required=True)}
_WATERFALL = {
    "total_ms": Rule("a positive number", lambda value: is_number(value) and value > 0, required=True),
    "shares": Rule("a list of shares with name, cause, how and ms", _is_shares, required=True),
    "untestable": Rule("an object", lambda value: isinstance(value, dict), required=True),
}


def _iter_waterfall_problems(text: str) -> Iterator[str]:
    try:
        yield from (f"waterfall: {problem}" for problem in shape_problems(parse_object(text), _WATERFALL))
    except InvalidValueError as error:
        yield f"waterfall {error}"
