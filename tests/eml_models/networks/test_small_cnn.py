"""The small CNN: its costs by hand, and its stages."""

from __future__ import annotations

from eml_models.networks.plan import LayerKind, Plan
from eml_models.networks.registry import build_plan

CIFAR = (3, 32, 32)


def plan_of(
    model: str, input_shape: tuple[int, int, int] = CIFAR, num_classes: int = 10, **options: object
) -> Plan:
    return build_plan(model, input_shape=input_shape, num_classes=num_classes, **options)


def test_small_cnn_costs_by_hand() -> None:
    plan = plan_of("small_cnn", (1, 8, 8), width=16, depth=3)
    convs = (9 * 16, 9 * 16 * 32, 9 * 32 * 64)
    assert plan.macs == convs[0] * 64 + convs[1] * 16 + convs[2] * 4 + 64 * 10
    assert plan.parameters == sum(convs) + 2 * (16 + 32 + 64) + 64 * 10 + 10
    assert plan.activations == 16 * 64 + 32 * 16 + 64 * 4


def test_each_stage_doubles_the_channels_and_halves_the_map() -> None:
    plan = plan_of("small_cnn", width=8, depth=3, convs=2)
    convs = [layer for layer in plan.layers if layer.kind is LayerKind.CONV]
    assert [conv.out_channels for conv in convs] == [8, 8, 16, 16, 32, 32]
    assert [conv.input_size[0] for conv in convs] == [32, 32, 16, 16, 8, 8]
