"""A data set is read once for all workers of a study, and by each of them where that fails."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patience import patience_s, slowness
from ray_studies import curve_study

from eml_models.data.datasets import (
    DatasetSpec,
    RawDataset,
    known_datasets,
    register_dataset,
    unregister_dataset,
)
from eml_models.networks.registry import (
    ModelFamily,
    PlanBuilder,
    known_models,
    register_model,
    unregister_model,
)
from eml_models.training.recipe import Recipe
from tune_jobs import RunFailedError, RunSettings, TrialStore, run_study
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.on_ray.worker.shared_data import (
    SMALL_BYTES,
    SharedData,
    SharedRead,
    choose_node,
    is_shared,
    provide,
    shared_bytes,
)
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.study.definition import Study
from tune_jobs.study.fits import fit_and_test
from tune_jobs.study.parameters import Float
from tune_jobs.study.space import Space

TRIALS = 6
EPOCHS = 20
PROCESSES = 2
MEETING_S = patience_s()
CALLS = "calls"
NOT_SHARED = "data set 'counted' could not be shared, so each worker reads it itself"


@pytest.fixture(autouse=True)
def _forget_counted() -> Iterator[None]:
    yield
    if "counted" in known_datasets():
        unregister_dataset("counted")
    if "meeting" in known_models():
        unregister_model("meeting")


def register_counted(*, failures: int = 0) -> None:
    """A data set whose reader notes its process in the folder; the first `failures` calls raise."""

    def read(folder: Path, download: bool) -> RawDataset:  # local, so that it travels to the workers by value
        with open(folder / CALLS, "a") as file:
            file.write(f"{os.getpid()} {download}\n")
        if len((folder / CALLS).read_text().splitlines()) <= failures:
            raise OSError("no such volume")
        images = np.random.RandomState(0).randint(0, 255, (60, 8, 8)).astype(np.uint8)
        labels = np.arange(60) % 2
        return RawDataset(train_images=images, train_labels=labels, test_images=images, test_labels=labels)

    register_dataset(DatasetSpec(name="counted", input_shape=(1, 8, 8), num_classes=2, read=read))


def register_meeting(folder: Path) -> None:
    """A network that a process builds when another one is about to: or one might train every trial, before
    a second has started."""
    driver = os.getpid()

    def draw(net: PlanBuilder) -> None:
        if os.getpid() != driver:
            (folder / f"{os.getpid()}.here").touch()
            deadline = time.monotonic() + MEETING_S
            while len(list(folder.glob("*.here"))) < PROCESSES:
                assert time.monotonic() < deadline, "no other process came"
                time.sleep(0.05)
        net.conv_bn_act("stem", 4)
        net.classifier()

    register_model(ModelFamily(name="meeting", draw=draw, options=()))


def counted_study(**changes: Any) -> Study:
    study = Study(
        name="counted",
        space=Space(Float("learning_rate", 1e-3, 1.0, log=True)),
        recipe=Recipe(dataset="counted", learning_rate=0.1, epochs=EPOCHS, batch_size=16),
        trials=TRIALS,
        asha=None,
    )
    return study.with_changes(**changes)


def run(study: Study, folder: Path, **changes: Any) -> TrialStore:
    settings = RunSettings(store=str(folder / "store"), workers=PROCESSES, data_dir=str(folder), **changes)
    run_study(study, settings)
    return TrialStore(folder / "store")


def readers(folder: Path) -> list[int]:
    return [int(line.split()[0]) for line in (folder / CALLS).read_text().splitlines()]


class TestDecision:
    def test_small_sets_and_single_workers_read_for_themselves(self) -> None:
        register_counted()
        assert not is_shared(
            counted_study(recipe=Recipe(dataset="digits", learning_rate=0.1, epochs=1)), RunSettings()
        )
        cifar = counted_study(recipe=Recipe(model="resnet18", dataset="cifar10", learning_rate=0.1, epochs=1))
        assert is_shared(cifar, RunSettings())
        assert is_shared(cifar.with_changes(fit=fit_and_test), RunSettings(address="10.0.0.5:6379"))
        assert not is_shared(cifar, RunSettings(workers=1))
        assert not is_shared(curve_study(recipe=cifar.recipe), RunSettings())
        assert is_shared(counted_study(), RunSettings())  # nobody knows how large it is
        assert shared_bytes(counted_study(), RunSettings()) == 0
        assert shared_bytes(cifar, RunSettings()) == 60_000 * (3 * 32 * 32 + 8) > SMALL_BYTES
        assert shared_bytes(cifar, RunSettings(workers=1)) == 0

    def test_node_is_one_where_trials_run(self) -> None:
        head = {"NodeID": "head", "Alive": True, "Resources": {"memory": 9.0}}
        dead = {"NodeID": "dead", "Alive": False, "Resources": {"CPU": 8.0, "GPU": 1.0}}
        small = {"NodeID": "small", "Alive": True, "Resources": {"CPU": 2.0}}
        large = {"NodeID": "large", "Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0}}
        nodes = [head, dead, small, large]
        assert choose_node(nodes, {"CPU": 1.0}, own="head") == "small"
        assert choose_node(nodes, {"CPU": 1.0}, own="large") == "large"
        assert choose_node(nodes, {"CPU": 1.0, "GPU": 0.5}, own="small") == "large"
        assert choose_node([head, dead], {"CPU": 1.0}, own="head") is None


@pytest.mark.ray
@pytest.mark.usefixtures("ray_of_the_tests")
class TestOnRay:
    def test_set_is_read_once_for_all_processes(self, tmp_path: Path) -> None:
        register_counted()
        register_meeting(tmp_path)
        recipe = replace(counted_study().recipe, model="meeting")
        store = run(counted_study(recipe=recipe), tmp_path)
        began = store.events().query("kind == 'attempt_started'")["pid"]
        assert began.nunique() == PROCESSES
        assert len(readers(tmp_path)) == 1
        assert not set(readers(tmp_path)) & set(began)
        trials = store.trials()
        assert list(trials["state"]) == ["completed"] * TRIALS
        assert trials["data_fingerprint"].nunique() == 1
        assert trials["data_fingerprint"].str.fullmatch("[0-9a-f]{32}").all()

    def test_reading_that_fails_is_reported_once_and_workers_read_for_themselves(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        register_counted(failures=1)
        with caplog.at_level(logging.WARNING, "tune_jobs.data"):
            store = run(counted_study(trials=3, name="fallback"), tmp_path, download=True)
        assert list(store.trials()["state"]) == ["completed"] * 3
        pids = set(store.events().query("kind == 'attempt_started'")["pid"])
        first, *others = readers(tmp_path)
        assert first not in others
        assert len(set(others)) == len(others) <= PROCESSES  # once each
        assert pids <= set(others)  # a process that started late may have got no trial
        assert "False" not in (tmp_path / CALLS).read_text()  # the wish to download reaches everybody
        (message,) = caplog.messages
        where = f"on {socket.gethostname()}, could not download data set 'counted' to {tmp_path}"
        assert message.startswith(f"{NOT_SHARED}: {where}: OSError: no such volume")

    def test_data_that_nobody_can_read_ends_the_run_with_the_reason(self, tmp_path: Path) -> None:
        register_counted(failures=99)
        with pytest.raises(RunFailedError, match="a worker cannot train this study: could not read data set"):
            run(counted_study(name="unreadable"), tmp_path)

    def test_lost_arrays_are_reported_and_provide_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        import ray

        def die() -> None:
            os._exit(1)

        register_counted()
        lost = ray.remote(max_retries=0, num_cpus=0)(die).remote()
        data = SharedData(dataset="counted", data_dir=None, verdict=lost, content=lost)
        with caplog.at_level(logging.WARNING, "tune_jobs.data"):
            provide(data)
            read = SharedRead(data)
            read.warn_of_failure()
            read.warn_of_failure()
            read.close()
        here, warned = caplog.messages
        assert here.startswith("data set 'counted' could not be shared, so it is read here: ")
        assert warned.startswith(f"{NOT_SHARED}: ")

    def test_waiting_for_the_first_reading_is_not_silence_of_a_trial(self, tmp_path: Path) -> None:
        import ray

        from tune_jobs.on_ray.worker.payload import Payload
        from tune_jobs.on_ray.worker.registered import pack_registered
        from tune_jobs.on_ray.worker.trainable import build_trainable

        limit_s = 3 * slowness()  # a worker that trains nothing ends in that time

        def read_slowly() -> None:
            time.sleep(2 * limit_s)

        slow = ray.remote(num_cpus=0)(read_slowly).remote()
        payload = Payload(
            code=None, fit=b"", registered=pack_registered(None), threads=1, device="cpu", data_dir=None,
            download=False, checkpoints=Checkpoints(store=str(tmp_path), study="none"),
            checkpoint_period_s=0.0, probe=StoreProbe.leave(str(tmp_path), "none"), trial_timeout_s=limit_s,
            shared=SharedData(dataset="counted", data_dir=None, verdict=slow, content=slow),
        )  # fmt: skip

        def train() -> str:
            attempt = {"recipe": "", "gpus": 0.0, "number": 0, "attempt": 1}
            build_trainable(payload)(attempt)  # ends at what is no training function
            return "lives"

        assert ray.get(ray.remote(max_retries=0, num_cpus=0)(train).remote()) == "lives"
