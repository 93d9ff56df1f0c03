"""The columns that the view of events adds for what an attempt notes about its GPU and its steps.

Files hold all of an event as one JSON text (`tune_jobs.study.events`); other keys of it are read from there,
such as ``detail->>'how'``. Each of these columns is null in an event that does not have it, and all are null
in the events of an attempt on a CPU. In the event of a session's start, `kernels` and `execution` are its
choices. A test compares names and types with the details of events. Called by the views of `query`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping

EVENTS, DETAIL = "events", "detail"

DETAIL_COLUMNS: Mapping[str, str] = types.MappingProxyType(
    {
        "gpus": "double",
        "kernels": "string",
        "cudnn_version": "int64",
        "driver_version": "string",
        "mps": "bool",
        "others_bytes": "int64",
        "execution": "string",
        "eager_because": "string",
        "step_s": "double",
        "gpu_busy": "double",
    }
)
"""The type of each column, in the words of `tune_jobs.store.columns.schema`."""
