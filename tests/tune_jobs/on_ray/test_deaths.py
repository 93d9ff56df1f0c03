"""Deaths of workers, as Ray Tune and the rows see them."""

from __future__ import annotations

import pytest

from tune_jobs.errors import BrokenDeviceError

CALL = "ray::ImplicitFunc.train() (pid=1)"
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(
    ("message", "first"),
    [
        (
            "\x1b[36mray::ImplicitFunc.train()\x1b[39m (pid=1, ip=10.0.0.1)\n  File x, line 1, in y\n"
            "tune_jobs.errors.BrokenDeviceError: so it ends: RuntimeError: illegal memory access\n",
            "BrokenDeviceError: so it ends: RuntimeError: illegal memory access",
        ),
        ("The actor died unexpectedly.\n\tclass_name: ImplicitFunc", "The actor died unexpectedly."),
        (
            "Failed to set up runtime environment.\nCould not create the actor because its associated runtime"
            " env failed to be created.\n[Node 10.0.0.2] Traceback (most recent call last):\n  File x\n"
            "OSError: [Errno 28] No space left on device\n",
            "no worker could be made on node 10.0.0.2: OSError: [Errno 28] No space left on device",
        ),
        ("", "the worker died"),
    ],
)
def test_a_death_is_described_by_its_error_first(message: str, first: str) -> None:
    from tune_jobs.on_ray.cluster.deaths import error_first

    assert error_first(message).splitlines()[0] == first
    assert "\x1b" not in error_first(message)


@pytest.mark.parametrize(
    ("message", "is_fault"),
    [
        (f"{CALL}\ntune_jobs.errors.BrokenDeviceError: so it ends{BrokenDeviceError.SHARED}: x", True),
        (f"{CALL}\ntune_jobs.errors.BrokenDeviceError: so it ends: x", False),
        (f"{CALL}\nValueError: BrokenDeviceError{BrokenDeviceError.SHARED}", False),
        ("The actor died unexpectedly.", False),
    ],
)
def test_a_fault_of_a_shared_gpu_is_told_from_other_deaths(message: str, is_fault: bool) -> None:
    from tune_jobs.on_ray.cluster.deaths import error_first, is_shared_fault

    assert is_shared_fault(error_first(message)) is is_fault


def test_what_is_not_a_calls_own_error_is_its_workers_death() -> None:
    from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

    from tune_jobs.on_ray.cluster.deaths import death_if_not_own

    death = death_if_not_own(OutOfMemoryError("the node was running low on memory"))
    assert isinstance(death, RayActorError)
    assert "the node was running low on memory" in str(death)
    for known in (RayActorError(), RayTaskError("train", "traceback", ValueError()), ValueError()):
        assert death_if_not_own(known) is known
