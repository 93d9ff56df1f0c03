"""Every test: warnings are errors, threads are few, and one Ray serves all tests that need one."""

from __future__ import annotations

import logging
import os
import random
import secrets
import sys
import warnings
from collections.abc import Generator, Iterator
from functools import cache
from operator import attrgetter
from pathlib import Path

import hypothesis
import pytest
from browser_testing import Browser, browser
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

hypothesis.settings.register_profile("tests", deadline=None)  # an example may have to wait for a core
hypothesis.settings.load_profile("tests")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")


class ByFileAndRay(LoadFileScheduling):
    """Gives a worker one file after the other, and all files with tests that need Ray to one of them.

    So one Ray serves them, and a fixture of a file is made once.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return RAY if needs_ray(self.config.rootpath / file) else file


RAY = "ray"


@cache
def needs_ray(file: Path) -> bool:
    """Whether tests of a file have the marker; the process that schedules sees their names alone."""
    return f"mark.{RAY}" in file.read_text()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFileAndRay | None:
    return ByFileAndRay(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """One worker more than there are cores where it has the tests with Ray, which wait for Ray for long."""
    num_cores = yield
    return num_cores + ("not ray" not in config.getoption("markexpr"))


@pytest.fixture(autouse=True)
def seeded_generators() -> None:
    """Every test draws the same numbers, whichever tests ran before it in its process."""
    random.seed(0)
    for module, seed in (("numpy", "random.seed"), ("torch", "manual_seed")):
        if module in sys.modules:
            attrgetter(seed)(sys.modules[module])(0)


@pytest.fixture(scope="session")
def ray_of_the_tests() -> Iterator[None]:
    """A Ray of two CPUs in this process's own session; `run_study` uses a Ray that runs already."""
    from tune_jobs.on_ray.cluster.local_ray import local_ray
    from tune_jobs.on_ray.private import TUNE_ENVIRONMENT

    os.environ.update(TUNE_ENVIRONMENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray opens pipes and sockets that it leaves to the collector
        with local_ray(num_cpus=2, object_store_memory=128 << 20):
            yield


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests of this process, each of which opens tabs of its own."""
    with browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 server on loopback with a bucket called ``bucket``; the environment leads every client to it.

    Yields its address.
    """
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    environment = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "TUNE_JOBS_CACHE": str(tmp_path_factory.mktemp("cache")),
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    boto3.client("s3").create_bucket(Bucket="bucket")
    yield address
    server.stop()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture
def s3_store(s3_server: str) -> str:
    """The URL of a store that does not exist yet."""
    return f"s3://bucket/{secrets.token_hex(4)}/store"
