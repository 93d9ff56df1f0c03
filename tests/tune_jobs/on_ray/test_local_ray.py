"""A Ray of our own, without Ray: where it writes and listens, and what is left when it ends."""

from __future__ import annotations

import logging
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tune_jobs.errors import RunFailedError, TuneJobsError
from tune_jobs.on_ray.cluster import private_folder
from tune_jobs.on_ray.cluster.connect import connected
from tune_jobs.on_ray.cluster.local_ray import SOCKET_BYTES, local_ray
from tune_jobs.session.settings import RunSettings

SIZES = {"num_cpus": 2, "object_store_memory": 128 << 20}


class PlayedRay:
    """Does what Ray does with its folder, and remembers what it was asked."""

    def __init__(self) -> None:
        self.constants = SimpleNamespace(ENABLE_RAY_CLUSTER=True)
        self.asked: dict[str, Any] = {}
        self.error: Exception | None = None
        self.stopped = False

    def init(self, **options: Any) -> None:
        self.asked = {**options, "reachable": self.constants.ENABLE_RAY_CLUSTER}
        folder = Path(options["_temp_dir"])
        logs = folder / "session_1" / "logs"
        logs.mkdir(parents=True)
        (folder / "session_latest").symlink_to(folder / "session_1")
        for path in (folder, folder / "session_1", logs):
            path.chmod(0o777)
        if self.error:
            raise self.error

    def get_runtime_context(self) -> SimpleNamespace:
        return SimpleNamespace(gcs_address="127.0.0.1:4711")

    def is_initialized(self) -> bool:
        return False

    def shutdown(self) -> None:
        self.stopped = True


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedRay:
    """Stands in for the package `ray`."""
    ray = PlayedRay()
    private = SimpleNamespace(
        ray_constants=ray.constants, services=SimpleNamespace(ConsolePopen=subprocess.Popen)
    )
    names = {
        "ray": ray,
        "ray.exceptions": SimpleNamespace(RayError=KeyError),
        "ray._private": private,
        "ray._private.services": private.services,
        "ray._private.ray_constants": ray.constants,
    }
    for name, module in names.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    monkeypatch.setattr("tune_jobs.on_ray.cluster.local_ray.SOCKET_BYTES", 4096)  # pytest's folders are deep
    return ray


def left(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "t").iterdir())


def test_ray_writes_below_a_folder_that_others_cannot_enter(played: PlayedRay, tmp_path: Path) -> None:
    """And not into that folder itself, which Ray would open to everybody."""
    with local_ray(**SIZES) as own:
        folder = own.folder
        assert played.asked["_temp_dir"] == str(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o777
        private = folder.parent.lstat()
        assert (stat.S_IMODE(private.st_mode), private.st_uid) == (0o700, os.geteuid())
        assert left(tmp_path) == [folder.parent]


def test_ray_is_on_loopback_and_the_next_one_of_the_process_may_not_be(played: PlayedRay) -> None:
    with local_ray(**SIZES):
        assert played.asked["reachable"] is False
        assert played.constants.ENABLE_RAY_CLUSTER is True
    assert (played.asked["address"], played.asked["include_dashboard"]) == ("local", False)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_of_a_run_that_ends_in_order(
    played: PlayedRay, tmp_path: Path, error: type[BaseException] | None
) -> None:
    if error is None:
        with local_ray(**SIZES):
            pass
    else:
        with pytest.raises(error), local_ray(**SIZES):
            raise error
    assert played.stopped
    assert left(tmp_path) == []


def test_logs_of_a_run_that_failed_are_kept_and_named(
    played: PlayedRay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "tune_jobs"), pytest.raises(RunFailedError), local_ray(**SIZES):
        raise RunFailedError("3 trials in a row failed")
    (named,) = re.findall(r"kept for a week: (\S+)", caplog.text)
    assert Path(named).is_dir()
    (private,) = left(tmp_path)
    assert private in Path(named).parents
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", [RuntimeError, TimeoutError, Exception])  # the last two after a time-out
def test_ray_that_does_not_start_is_an_error_in_words_and_its_logs_are_kept(
    played: PlayedRay, tmp_path: Path, kind: type[Exception]
) -> None:
    played.error = kind("the raylet died.\n\nIts log:\n  a page of lines")
    expected = pytest.raises(
        TuneJobsError, match=r"did not start: the raylet died\. Run the same command again"
    )
    with expected, local_ray(**SIZES):
        raise AssertionError("it is not up")
    assert len(left(tmp_path)) == 1
    assert played.constants.ENABLE_RAY_CLUSTER is True


def test_where_no_folder_can_be_made_ray_is_not_started(
    played: PlayedRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune_jobs.on_ray.cluster.local_ray.SOCKET_BYTES", SOCKET_BYTES)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 60)))
    monkeypatch.setattr(private_folder, "USUAL_PLACES", ())
    Path(tempfile.tempdir or "").mkdir()
    expected = pytest.raises(TuneJobsError, match=r"longer than the .* bytes that Ray's sockets allow")
    with expected, local_ray(**SIZES):
        raise AssertionError("it is not up")
    assert played.asked == {}


def test_address_that_could_be_any_of_several_rays_is_refused(
    played: PlayedRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = SimpleNamespace(
        ConsolePopen=subprocess.Popen,
        find_gcs_addresses=lambda: {"127.0.0.1:4711", "10.0.0.5:6379"},
        find_bootstrap_address=lambda folder: None,
    )
    monkeypatch.setattr(sys.modules["ray._private"], "services", services, raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    expected = pytest.raises(
        TuneJobsError, match=r"at 10\.0\.0\.5:6379 and 127\.0\.0\.1:4711: choose one with"
    )
    with expected, connected(RunSettings(address="auto")):
        raise AssertionError("it is none of them")
    assert played.asked == {}


@pytest.mark.parametrize("address", [None, "local"])
def test_word_for_a_ray_of_our_own_starts_one_as_no_address_does(
    played: PlayedRay, tmp_path: Path, address: str | None
) -> None:
    """Or Ray would start it in its usual folder, on all addresses."""
    with connected(RunSettings(address=address, workers=3)):
        assert (played.asked["num_cpus"], played.asked["reachable"]) == (3, False)
        assert Path(played.asked["_temp_dir"]).parent in left(tmp_path)
