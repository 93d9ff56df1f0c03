"""Every test: warnings are errors, threads are few, and one Ray serves all tests that need one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")


@pytest.fixture(scope="session")
def ray_of_the_tests() -> Iterator[None]:
    """A Ray of two CPUs in this process's own session; `run_study` uses a Ray that runs already."""
    from tune_jobs.on_ray.runner import TUNE_ENVIRONMENT

    os.environ.update(TUNE_ENVIRONMENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray opens pipes and sockets that it leaves to the collector
        import ray

        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=128 << 20,
        )
        yield
        ray.shutdown()
