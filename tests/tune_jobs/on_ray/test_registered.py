"""The user's parts on their way to another process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ray import cloudpickle

from eml_models.data.datasets import get_dataset_spec, read_dataset
from eml_models.data.file_sets import forget_file_sets, known_file_sets
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.on_ray.worker import registered
from tune_jobs.on_ray.worker.registered import load_parts, pack_registered

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


class Named:
    """Stands for a family of models or a data set; only its name counts here."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_parts_that_a_process_knows_already_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    known, new = Named("known"), Named("new")
    added: list[str] = []
    monkeypatch.setattr(registered, "custom_models", lambda: [known, new])
    monkeypatch.setattr(registered, "custom_datasets", lambda: [new])
    packed = pack_registered(None)
    monkeypatch.setattr(registered, "custom_models", lambda: [known])
    monkeypatch.setattr(registered, "custom_datasets", list)
    monkeypatch.setattr(registered, "register_model", lambda family: added.append(f"model {family.name}"))
    monkeypatch.setattr(registered, "register_dataset", lambda spec: added.append(f"data {spec.name}"))
    load_parts(None, packed)
    assert added == ["model new", "data new"]


def test_users_module_registers_its_own_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "custom_models", lambda: [Named("of the module")])
    assert cloudpickle.loads(pack_registered(UserCode(module="own"))) == ([], [])


def test_sets_of_files_travel_with_and_without_a_users_module(tmp_path: Path) -> None:
    images, labels = np.zeros((10, 4, 4), np.uint8), np.arange(10) % 2
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels)
    spec = get_dataset_spec(f"arrays:{tmp_path / 'a.npz'}")
    try:
        for code in (None, UserCode(module="tests_have_none")):
            models, datasets = cloudpickle.loads(pack_registered(code))
            assert (models, datasets[-1:]) == ([], [spec])
        packed = pack_registered(None)
        forget_file_sets()
        load_parts(None, packed)
        assert known_file_sets() == (spec,)
        assert len(read_dataset(spec.name).train_labels) == 8
    finally:
        forget_file_sets()
