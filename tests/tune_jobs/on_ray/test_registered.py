"""The user's parts on their way to another process."""

from __future__ import annotations

import pytest
from ray import cloudpickle

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
