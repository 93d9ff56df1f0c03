"""Messages of a worker to its driver about an attempt: a frozen value per kind of message, sent as one text.

The worker (`tune_jobs.on_ray.worker.trainable`) makes them, and the driver (`tune_jobs.on_ray.bridge`) reads
them. The text goes through Tune's report under a single key, because Tune would flatten a dictionary and keep
statistics of each number in it. A report holds one message or several, each in a line. A line is JSON as
Python writes it, so that the NaN and infinity of a diverged training arrive unchanged. Driver and workers run
the same code; a text of another shape is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, get_type_hints

from tune_jobs.errors import TuneJobsError
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.study.rows import Failure

Metric = float | int | bool | str | None
"""Types of a metric in a message; `tune_jobs.session.report_checks` refuses everything except numbers."""

_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyMeasured:
    """The latency of the attempt's network was measured, before its training begins."""

    kind: ClassVar[str] = "latency_measured"

    latency_ms: float
    worker: WorkerInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingBegan:
    """Code, data and network are ready, and the first step comes next.

    Own training that fails before its first report sends another with what it had loaded.
    """

    kind: ClassVar[str] = "training_began"

    worker: WorkerInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReported:
    """An epoch has ended.

    Attributes:
        metrics: values by name, `epoch` among them; not checked yet.
        unsaved: what could not be saved since the last report, with the reason, such as
            ``{"checkpoint": "No space left on device"}``.
        own: the metrics of own training; `metrics` then has the epoch and the seconds.
        waits: whether the worker trains on only after the driver has recorded the report: a rung decides, it
            is the last epoch, or a checkpoint is due. Otherwise the next epoch has begun already.
        advice: a sentence for the author of the training function; None for nothing to say.
    """

    kind: ClassVar[str] = "epoch_reported"

    metrics: Mapping[str, Metric]
    unsaved: Mapping[str, str]
    waits: bool = True
    worker: WorkerInfo
    own: Mapping[str, Metric] = field(default_factory=dict)
    advice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """The training raised an error.

    Attributes:
        error: the type, the message, and the last lines of the traceback.
    """

    kind: ClassVar[str] = "attempt_failed"

    failure: Failure
    error: str
    worker: WorkerInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReturned:
    """The training function returned before the driver stopped it: it ended early."""

    kind: ClassVar[str] = "training_returned"

    worker: WorkerInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerUnusable:
    """This worker can train no trial of the study.

    Attributes:
        error: the reason, in words for the user.
    """

    kind: ClassVar[str] = "worker_unusable"

    error: str
    worker: WorkerInfo


Message = LatencyMeasured | TrainingBegan | EpochReported | AttemptFailed | TrainingReturned | WorkerUnusable
MESSAGE_TYPES: tuple[type[Message], ...] = (
    LatencyMeasured,
    TrainingBegan,
    EpochReported,
    AttemptFailed,
    TrainingReturned,
    WorkerUnusable,
)
"""All kinds, in the order in which an attempt may send them."""


def must_be_answered(message: Message) -> bool:
    """Whether the worker continues only after the driver has taken this message."""
    if isinstance(message, EpochReported):
        return message.waits
    return not isinstance(message, TrainingBegan)


def to_json(message: Message) -> str:
    """The text of a message; leaves out fields of the worker that have their defaults."""
    values = {f.name: getattr(message, f.name) for f in fields(message)}
    known = {
        f.name: value for f in fields(WorkerInfo) if (value := getattr(message.worker, f.name)) != f.default
    }
    return json.dumps({"kind": message.kind, **values, "worker": known})


def from_json(text: str) -> Message:
    """The message of a text.

    Raises:
        TuneJobsError: the text is not a message of a worker that runs this code.
    """
    try:
        return _parse(text)
    except (ValueError, RecursionError) as error:
        raise TuneJobsError(
            f"a worker sent a text that is not a message: {error} (in {_short(text)}). The driver and its"
            " workers must run the same version of tune_jobs: install that version on the nodes, and start"
            " the cluster again"
        ) from error


def _parse(text: str) -> Message:
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError(f"a message must be an object, got {_short(data)}")
    kinds = {kind.kind: kind for kind in MESSAGE_TYPES}
    name = data.pop("kind", None)
    if not isinstance(name, str) or name not in kinds:
        raise ValueError(f"kind must be one of {', '.join(kinds)}, got {_short(name)}")
    message: Message = _build(kinds[name], data)
    return message


def _build(kind: type[Any], data: object) -> Any:
    """A dataclass from parsed JSON, which must have its fields and no others, each of its type."""
    rules = _RULES[kind]
    if not isinstance(data, dict):
        raise ValueError(f"{kind.__name__} must be an object, got {_short(data)}")
    if unknown := sorted(set(data) - set(rules)):
        raise ValueError(f"{kind.__name__} has no field {unknown[0]}; it has {', '.join(rules)}")
    if missing := [name for name, (_, required) in rules.items() if required and name not in data]:
        raise ValueError(f"{kind.__name__} lacks {', '.join(missing)}")
    values = {}
    for name, value in data.items():
        try:
            values[name] = rules[name][0](value)
        except TypeError as error:
            raise ValueError(f"{name} must be {error}, got {_short(value)}") from error
    return kind(**values)


def _rules_of(kind: type[Any]) -> dict[str, tuple[Callable[[Any], Any], bool]]:
    """The fields of a dataclass: how each is read from parsed JSON, and whether it is required."""
    hints = get_type_hints(kind)
    return {
        f.name: (_READ[hints[f.name]], f.default is MISSING and f.default_factory is MISSING)
        for f in fields(kind)
    }


def _read_only(words: str, *types: type) -> Callable[[Any], Any]:
    """A function that accepts values of these types alone; a truth value is not a number."""

    def read(value: Any) -> Any:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise TypeError(words)
        return value

    return read


def _read_mapping(words: str, *types: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, dict) or not all(isinstance(item, types) for item in value.values()):
            raise TypeError(words)
        return value

    return read


def _read_failure(value: Any) -> Failure:
    if value not in list(Failure):
        raise TypeError(f"one of {', '.join(Failure)}")
    return Failure(value)


_NONE = type(None)
_READ: Mapping[Any, Callable[[Any], Any]] = {
    str: _read_only("text", str),
    str | None: _read_only("text or null", str, _NONE),
    bool: _read_only("true or false", bool),
    bool | None: _read_only("true, false or null", bool, _NONE),
    int: _read_only("a whole number", int),
    int | None: _read_only("a whole number or null", int, _NONE),
    float: _read_only("a number", int, float),
    float | None: _read_only("a number or null", int, float, _NONE),
    Mapping[str, str]: _read_mapping("an object of texts", str),
    Mapping[str, Metric]: _read_mapping("an object of numbers and texts", int, float, bool, str, _NONE),
    Failure: _read_failure,
    WorkerInfo: lambda data: _build(WorkerInfo, data),
}
"""Functions that read a field from parsed JSON, by the field's type."""

_RULES = {kind: _rules_of(kind) for kind in (*MESSAGE_TYPES, WorkerInfo)}


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
