"""Families by name: shipped ones, and those that a user registers."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest
from torch import nn

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.networks.registry import (
    ModelFamily,
    Option,
    OptionKind,
    PlanBuilder,
    build_model,
    build_plan,
    custom_models,
    get_model,
    known_models,
    register_model,
    unregister_model,
)

WIDTH = Option(name="width", kind=OptionKind.INTEGER, default=16, low=1, high=256, doc="Stem channels.")


def draw_tiny(net: PlanBuilder, *, width: int) -> None:
    net.conv_bn_act("stem", width)
    with net.residual("block", project=True, activation="relu"):
        net.conv_bn_act("first", 2 * width, stride=2)
        net.conv_bn_act("second", 2 * width, activation=None)
    net.classifier(dropout=0.1)


TINY = ModelFamily(name="tiny_of_test_registry", draw=draw_tiny, options=(WIDTH,))


@pytest.fixture(autouse=True)
def _forget_families() -> Iterator[None]:
    """A family that a test leaves behind would be shipped to the workers of a later test."""
    before = custom_models()
    yield
    for family in custom_models():
        if family not in before:
            unregister_model(family.name)


def test_shipped_families_are_known() -> None:
    assert known_models()[:3] == ("small_cnn", "resnet18", "mobilenet")


def test_unknown_model_lists_the_known_ones_nearest_first() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'mobilnet'; known: mobilenet, "):
        get_model("mobilnet")


def test_own_family_in_one_line_makes_plans_and_modules() -> None:
    register_model(TINY)
    assert TINY.name in known_models()
    assert TINY in custom_models()
    plan = build_plan(TINY.name, input_shape=(3, 8, 8), num_classes=4, width=2)
    assert plan.parameters == sum(weight.numel() for weight in build_model(plan).parameters())


def test_custom_models_leave_out_the_shipped_ones() -> None:
    register_model(TINY)
    assert not {family.name for family in custom_models()} & {"small_cnn", "resnet18", "mobilenet"}


def test_registering_again_replaces_but_not_a_shipped_family() -> None:
    register_model(TINY)
    again = ModelFamily(name=TINY.name, draw=draw_tiny, options=(WIDTH,), source="again")
    register_model(again)
    assert get_model(TINY.name).source == "again"
    with pytest.raises(InvalidValueError, match="'resnet18' is shipped"):
        register_model(ModelFamily(name="resnet18", draw=draw_tiny, options=(WIDTH,)))


def test_unregistered_family_is_unknown() -> None:
    register_model(TINY)
    unregister_model(TINY.name)
    assert TINY.name not in known_models()
    with pytest.raises(UnknownNameError, match="unknown registered model 'mobilenet'"):
        unregister_model("mobilenet")


def test_family_survives_the_way_to_a_worker() -> None:
    assert pickle.loads(pickle.dumps(TINY)) == TINY


def test_family_may_build_its_own_module() -> None:
    family = ModelFamily(
        name="own_of_test_registry", draw=draw_own, build=lambda plan: OwnModule(plan.num_classes)
    )
    register_model(family)
    assert isinstance(build_model(family.name, input_shape=(1, 8, 8), num_classes=3), OwnModule)


def draw_own(net: PlanBuilder) -> None:
    net.flatten("flat")
    net.linear("classifier", net.num_classes)


class OwnModule(nn.Sequential):
    def __init__(self, num_classes: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, num_classes))


def test_build_model_says_what_it_needs() -> None:
    with pytest.raises(InvalidValueError, match="needs input_shape and num_classes"):
        build_model("small_cnn")
    plan = build_plan("small_cnn", input_shape=(1, 8, 8), num_classes=10)
    with pytest.raises(InvalidValueError, match="give the plan alone"):
        build_model(plan, num_classes=10)
