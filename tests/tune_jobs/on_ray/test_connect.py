"""Errors of a connection to a cluster, in words."""

from __future__ import annotations

import pytest

from tune_jobs.errors import TuneJobsError
from tune_jobs.session.settings import RunSettings

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_what_ray_says_of_a_cluster_is_put_into_words() -> None:
    from tune_jobs.on_ray.cluster.connect import _describe

    mismatch = RuntimeError("Version mismatch: The cluster was started with: Ray: 2.50.1 Python: 3.12.1")
    assert "runs another version of Ray or Python than this process" in _describe("10.0.0.5:6379", mismatch)
    closed = ConnectionError("Failed to connect to Ray cluster at 10.0.0.5:6379")
    assert "most likely the token is missing or wrong" in _describe("10.0.0.5:6379", closed)


@pytest.mark.parametrize("kind", [RuntimeError, TimeoutError, Exception])  # the last two after a time-out
def test_cluster_that_cannot_be_joined_is_an_error_in_words(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    from tune_jobs.on_ray.cluster import connect

    def fail(**options: object) -> None:
        raise kind("the node timed out during startup")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(connect, "require_listener", lambda address: None)
    expected = pytest.raises(
        TuneJobsError, match=r"Ray at 10\.0\.0\.5:6379 did not answer: the node timed out"
    )
    with expected, connect.connected(RunSettings(address="10.0.0.5:6379")):
        raise AssertionError("it is connected")
