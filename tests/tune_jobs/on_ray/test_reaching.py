"""Addresses at which no cluster answers, and addresses of dashboards."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.cluster.reaching import jobs_url, require_listener
from tune_jobs.on_ray.latency import kind_of_cluster

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_address_where_nobody_listens_is_refused_at_once() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    with pytest.raises(TuneJobsError, match=f"no Ray cluster answers at 127.0.0.1:{port}"):
        require_listener(f"127.0.0.1:{port}")
    for scheme in ("", "ray://"):
        with pytest.raises(TuneJobsError, match="no Ray cluster answers"):
            jobs_url(f"{scheme}127.0.0.1:{port}")
    with pytest.raises(InvalidValueError, match="HOST:PORT"):
        require_listener("just-a-host")
    with pytest.raises(InvalidValueError, match="belongs to a dashboard, which takes jobs"):
        require_listener("http://127.0.0.1:8265")
    require_listener("auto")
    with pytest.raises(TuneJobsError, match="no Ray cluster answers"):
        kind_of_cluster(f"127.0.0.1:{port}")


def test_dashboard_without_a_scheme_is_recognised(answering_server: Callable[..., str]) -> None:
    address = answering_server(401, {})
    assert jobs_url(address) == f"http://{address}"
    assert jobs_url("http://head:8265") == "http://head:8265"
    with pytest.raises(InvalidValueError, match="belongs to a dashboard, which takes jobs"):
        require_listener(address)  # where a driver would wait for a head until its time is over
