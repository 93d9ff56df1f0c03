"""ResNet-18: its stages and stems, and the published costs of its default."""

from __future__ import annotations

import pytest

from eml_models.networks.plan import LayerKind
from eml_models.networks.registry import build_plan


def test_four_stages_of_two_blocks_double_the_channels() -> None:
    plan = build_plan("resnet18", input_shape=(3, 32, 32), num_classes=10, width=4)
    adds = [layer for layer in plan.layers if layer.kind is LayerKind.ADD]
    assert [add.out_channels for add in adds] == [4, 4, 8, 8, 16, 16, 32, 32]
    assert [add.output_size[0] for add in adds] == [32, 32, 16, 16, 8, 8, 4, 4]


@pytest.mark.parametrize(("stem", "macs", "parameters"), [("cifar", 555_422_720, 11_173_962)])
def test_published_costs_on_cifar(stem: str, macs: int, parameters: int) -> None:
    plan = build_plan("resnet18", input_shape=(3, 32, 32), num_classes=10, stem=stem)
    assert (plan.macs, plan.parameters) == (macs, parameters)


def test_stem_for_224_px_quarters_the_map_and_that_for_32_px_keeps_it() -> None:
    sizes = {}
    for stem in ("cifar", "imagenet"):
        plan = build_plan("resnet18", input_shape=(3, 224, 224), num_classes=10, width=4, stem=stem)
        first = next(layer for layer in plan.layers if layer.name.startswith("stage1."))
        sizes[stem] = first.input_size
    assert sizes == {"cifar": (224, 224), "imagenet": (56, 56)}
