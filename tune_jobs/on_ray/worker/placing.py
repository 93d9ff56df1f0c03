"""Node and host of a worker, as Ray names them. Called by `trainable`."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import ray

from tune_jobs.session.attempt import WorkerInfo


def with_place(worker: WorkerInfo) -> WorkerInfo:
    """Adds the node and the host."""
    return replace(worker, **_place())


@cache
def _place() -> Mapping[str, Any]:
    """The node and the host of this process; looked up once."""
    return {"node": ray.util.get_node_ip_address(), "hostname": socket.gethostname()}
