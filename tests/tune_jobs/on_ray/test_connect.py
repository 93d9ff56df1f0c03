"""Errors of a connection to a cluster, in words."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_what_ray_says_of_a_cluster_is_put_into_words() -> None:
    from tune_jobs.on_ray.cluster.connect import _describe

    mismatch = RuntimeError("Version mismatch: The cluster was started with: Ray: 2.50.1 Python: 3.12.1")
    assert "runs another version of Ray or Python than this process" in _describe("10.0.0.5:6379", mismatch)
    closed = ConnectionError("Failed to connect to Ray cluster at 10.0.0.5:6379")
    assert "most likely the token is missing or wrong" in _describe("10.0.0.5:6379", closed)
