"""MobileNet: published costs, and costs and channels that rise with its options."""

from __future__ import annotations

import pytest

from eml_models.networks.mobilenet import round_channels
from eml_models.networks.plan import Plan
from eml_models.networks.registry import build_plan


@pytest.mark.parametrize("stage", range(7))
@pytest.mark.parametrize("option", ["widths", "expansions", "depths", "kernels"])
def test_mobilenet_costs_rise_with_each_stage(option: str, stage: int) -> None:
    base = {
        "widths": [1.0] * 7,
        "expansions": [1.0] + [6.0] * 6,
        "depths": [1, 2, 3, 4, 3, 3, 1],
        "kernels": [3] * 7,
    }[option]
    larger = {"kernels": 5}
    grown = [larger.get(option, value * 2) if i == stage else value for i, value in enumerate(base)]
    costs = [
        build_plan("mobilenet", input_shape=(3, 32, 32), num_classes=10, **{option: values}).macs
        for values in (base, grown)
    ]
    assert costs[0] < costs[1]
    assert costs[0] == 87_976_448


@pytest.mark.parametrize("gated", [False, True])
def test_wider_gated_mobilenets_never_cost_less(gated: bool) -> None:
    options = {"se_ratio": 0.25 if gated else 0.0, "kernels": [3, 5, 3, 5, 3, 5, 3], "divisor": 1}
    macs = [
        build_plan(
            "mobilenet", input_shape=(1, 8, 8), num_classes=10, width_mult=0.1 + i / 500, **options
        ).macs
        for i in range(300)
    ]
    assert macs == sorted(macs)


@pytest.mark.parametrize("divisor", [1, 4, 8, 12])
def test_no_width_rounds_to_no_channels(divisor: int) -> None:
    options = {"width_mult": 0.1, "widths": [0.1] * 7, "se_ratio": 0.001, "divisor": divisor}
    plan = build_plan("mobilenet", input_shape=(1, 8, 8), num_classes=10, **options)
    assert min(layer.out_channels for layer in plan.layers) == min(divisor, 10)


@pytest.mark.parametrize("divisor", [1, 4, 8, 12])
def test_rounding_keeps_nine_tenths_and_rises(divisor: int) -> None:
    rounded = [round_channels(i / 10, divisor) for i in range(1, 4000)]
    assert rounded == sorted(rounded)
    assert all(channels % divisor == 0 and channels > 0 for channels in rounded)
    assert all(channels >= 0.9 * i / 10 for i, channels in enumerate(rounded, start=1))


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(1, 8), (11.2, 16), (11.9, 16), (12, 16), (18, 24), (20, 24), (33.6, 32), (44.8, 48)],
)
def test_rounding_by_written_out_values(channels: float, expected: int) -> None:
    assert round_channels(channels, 8) == expected


CIFAR = (3, 32, 32)


def plan_of(
    model: str, input_shape: tuple[int, int, int] = CIFAR, num_classes: int = 10, **options: object
) -> Plan:
    return build_plan(model, input_shape=input_shape, num_classes=num_classes, **options)


@pytest.mark.parametrize(
    ("width_mult", "million_macs", "million_parameters"),
    [(0.5, 27.97, 0.70), (0.75, 59.31, 1.37), (1.0, 87.98, 2.24), (1.4, 170.07, 4.33)],
)
def test_published_mobilenet_costs_on_cifar_are_met_as_printed(
    width_mult: float, million_macs: float, million_parameters: float
) -> None:
    plan = plan_of("mobilenet", width_mult=width_mult)
    assert round(plan.macs / 1e6, 2) == million_macs
    assert round(plan.parameters / 1e6, 2) == million_parameters


def test_130_m_macs_need_expansion_above_6_or_width_above_1() -> None:
    assert plan_of("mobilenet", width_mult=1.0, expansion=6.0).macs < 130e6
    assert plan_of("mobilenet", expansion=9.0).macs > 125e6
    assert plan_of("mobilenet", width_mult=1.25).macs > 130e6
