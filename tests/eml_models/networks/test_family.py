"""Families of networks: their options, the rules of these, and tables that are wrong."""

from __future__ import annotations

import math

import pytest

from eml_models.errors import InvalidValueError
from eml_models.networks.registry import (
    ModelFamily,
    Option,
    OptionKind,
    PlanBuilder,
    build_plan,
    get_model,
)


def draw_tiny(net: PlanBuilder, *, width: int) -> None:
    net.conv_bn_act("stem", width)
    with net.residual("block", project=True, activation="relu"):
        net.conv_bn_act("first", 2 * width, stride=2)
        net.conv_bn_act("second", 2 * width, activation=None)
    net.classifier(dropout=0.1)


def options_of(name: str, **options: object) -> dict[str, object]:
    return dict(build_plan(name, input_shape=(3, 32, 32), num_classes=10, **options).options)


def test_problems_are_shown_together_with_what_is_known() -> None:
    with pytest.raises(InvalidValueError) as caught:
        options_of("mobilenet", widht_mult=1.0, dropout=2.0, widths=[1.0, 2.0], kernels=[4] * 7)
    text = str(caught.value)
    assert "unknown option 'widht_mult'; it takes: width_mult, " in text
    assert "option 'kernels' must be a list of 7 whole numbers in [1, 7], odd or null, got [4, " in text
    assert "option 'dropout' must be a number in [0, 0.9], got 2.0" in text
    assert "option 'widths' must be a list of 7 numbers in [0.1, 4] or null, got [1.0, 2.0]" in text


@pytest.mark.parametrize(
    ("model", "option", "low", "high"),
    [
        ("mobilenet", "width_mult", 0.1, 4.0),
        ("mobilenet", "expansion", 1.0, 16.0),
        ("resnet18", "width", 1, 512),
        ("small_cnn", "width", 1, 512),
        ("small_cnn", "dropout", 0.0, 0.9),
    ],
)
def test_bounds_are_inclusive(model: str, option: str, low: float, high: float) -> None:
    for bound in (low, high):
        assert options_of(model, **{option: bound})[option] == bound
    for beyond in (low - 1, high + 1, math.nan, math.inf, "1", True, None):
        with pytest.raises(InvalidValueError, match=option):
            options_of(model, **{option: beyond})


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("resnet18", {"width": 8.5}),
        ("resnet18", {"width": math.nan}),
        ("resnet18", {"stem": "cifar10"}),
        ("resnet18", {"zero_gamma": 1}),
        ("mobilenet", {"activation": "gelu"}),
        ("mobilenet", {"depths": [1, 2, 3, 4, 3, 3, 0]}),
        ("mobilenet", {"depths": [1, 2, 3, 4, 3, 3, 1.5]}),
        ("mobilenet", {"expansions": "6666666"}),
        ("mobilenet", {"expansions": [1, 6, 6, 0, 6, 6, 6]}),
        ("mobilenet", {"expansion": 0}),
        ("mobilenet", {"width_mult": 0}),
        ("mobilenet", {"widths": [1, 1, 1, 0, 1, 1, 1]}),
        ("mobilenet", {"kernels": [3, 3, 3, 4, 3, 3, 3]}),
        ("mobilenet", {"kernels": [3, 3, 3, 9, 3, 3, 3]}),
        ("mobilenet", {"kernels": [3, 5]}),
        ("mobilenet", {"se_ratio": -0.25}),
        ("mobilenet", {"se_ratio": None}),
        ("mobilenet", {"stem_channels": 0}),
        ("mobilenet", {"expansions": [6, 6, 6, 6, 6, 6, "6"]}),
        ("mobilenet", {"widths": 1.0}),
    ],
)
def test_values_that_break_a_rule_are_refused(model: str, options: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match=f"model '{model}': option '{next(iter(options))}' must be"):
        options_of(model, **options)


def test_options_are_stored_in_one_form() -> None:
    # JSON has no tuples and does not tell 1 from 1.0.
    assert options_of("mobilenet", width_mult=1, widths=[1] * 7) == options_of(
        "mobilenet", width_mult=1.0, widths=(1.0,) * 7
    )
    assert isinstance(options_of("mobilenet", width_mult=1)["width_mult"], float)
    assert isinstance(options_of("resnet18", width=8.0)["width"], int)


def test_family_whose_own_table_is_wrong_is_refused() -> None:
    wrong = Option(name="width", kind=OptionKind.INTEGER, default=0, low=1, high=8, doc="")
    with pytest.raises(InvalidValueError) as caught:
        ModelFamily(name="two words", draw=draw_tiny, options=(wrong, wrong))
    text = str(caught.value)
    assert "must be an identifier, got 'two words'" in text
    assert "two options have the name 'width'" in text
    assert "default of option 'width' must be a whole number in [1, 8], got 0" in text


@pytest.mark.parametrize("name", ["small_cnn", "resnet18", "mobilenet"])
def test_every_option_and_family_is_documented(name: str) -> None:
    family = get_model(name)
    assert family.source
    assert all(option.doc for option in family.options)
