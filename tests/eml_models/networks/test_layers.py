"""The shipped networks as modules: they do what their plans say, and start as documented."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2, resnet18

from eml_models.networks.plan import LayerKind
from eml_models.networks.registry import build_model, build_plan

Trace = dict[str, tuple[int, ...]]

TINY_RESNETS = [
    {"width": width, "stem": stem, "zero_gamma": zero}
    for width, stem, zero in itertools.product((1, 3), ("cifar", "imagenet"), (False, True))
]
TINY_MOBILENETS: list[dict[str, object]] = [
    {"width_mult": 0.1, "expansion": 1.0},
    {"width_mult": 0.1, "expansion": 2.5, "strides": "imagenet"},
    {"width_mult": 0.2, "expansions": [2, 1, 3.3, 1, 1.2, 8, 1]},
    {"width_mult": 0.1, "depths": [2, 1, 1, 2, 1, 1, 3], "activation": "relu6", "dropout": 0.2},
    {"width_mult": 0.3, "widths": [0.1, 1, 2, 0.5, 1, 1.5, 0.3], "divisor": 4, "activation": "relu"},
    {"width_mult": 0.1, "divisor": 1, "head_channels": 8, "zero_gamma": False},
    {"width_mult": 0.1, "se_ratio": 0.25, "expansion": 2.0},
    {"width_mult": 0.1, "se_ratio": 1.0, "divisor": 1, "kernels": [1, 3, 5, 7, 5, 3, 1], "stem_channels": 5},
]
TINY_CNNS = [
    {"width": width, "depth": depth, "convs": convs, "dropout": 0.1}
    for width, depth, convs in itertools.product((1, 5), (1, 3, 6), (1, 2))
]
TINY = [
    *(("resnet18", options) for options in TINY_RESNETS),
    *(("mobilenet", options) for options in TINY_MOBILENETS),
    *(("small_cnn", options) for options in TINY_CNNS),
]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 13, 10), (2, 33, 32)])
@pytest.mark.parametrize(("model", "options"), TINY)
def test_module_does_what_the_plan_says(
    model: str, options: dict[str, object], shape: tuple[int, int, int]
) -> None:
    plan = build_plan(model, input_shape=shape, num_classes=7, **options)
    module = build_model(plan).eval()
    shapes, macs = trace(module, torch.zeros(1, *shape))
    for layer in plan.layers:
        vector = layer.output_size == (1, 1)  # no map is as small
        expected = (layer.out_channels,) if vector else (layer.out_channels, *layer.output_size)
        assert shapes[layer.name] == expected, layer.name
    assert macs == plan.macs
    assert sum(weight.numel() for weight in module.parameters()) == plan.parameters


def trace(module: nn.Module, images: torch.Tensor) -> tuple[Trace, int]:
    """Each submodule's output shape, and the MACs by an account of its own from weights and real outputs."""
    shapes: Trace = {}
    macs = 0

    def note(name: str, part: nn.Module, output: torch.Tensor) -> None:
        nonlocal macs
        shapes[name] = tuple(output.shape[1:])
        if isinstance(part, nn.Conv2d):
            macs += part.weight[0].numel() * output.numel()
        elif isinstance(part, nn.Linear):
            macs += part.weight.numel()

    for name, part in module.named_modules():
        part.register_forward_hook(lambda part, _, output, name=name: note(name, part, output))
    with torch.no_grad():
        module(images)
    return shapes, macs


def test_parameters_are_shaped_as_torchvisions() -> None:
    pairs = [
        (build_plan("resnet18", input_shape=(3, 224, 224), num_classes=1000, stem="imagenet"), resnet18),
        (
            build_plan("mobilenet", input_shape=(3, 224, 224), num_classes=1000, strides="imagenet"),
            mobilenet_v2,
        ),
    ]
    for plan, theirs in pairs:
        with torch.device("meta"):
            reference = theirs(weights=None)
            module = build_model(plan)
        assert shapes_of(module) == shapes_of(reference)


def shapes_of(module: nn.Module) -> list[tuple[int, ...]]:
    return sorted(tuple(weight.shape) for weight in module.parameters())


@pytest.mark.parametrize("model", ["resnet18", "mobilenet"])
def test_zero_gamma_starts_blocks_as_the_identity(model: str) -> None:
    size = {"resnet18": {"width": 4}, "mobilenet": {"width_mult": 0.1}}[model]
    module = build_model(model, input_shape=(3, 16, 16), num_classes=4, zero_gamma=True, **size).eval()
    adds = [layer for layer in module.plan.layers if layer.kind is LayerKind.ADD]
    assert len(adds) >= 8
    for add in adds:
        body = module.get_submodule(add.name.removesuffix("add") + "body")
        norm = [part for part in body.modules() if isinstance(part, nn.BatchNorm2d)][-1]
        assert not norm.weight.any()
    assert sum(layer.zero_gamma for layer in module.plan.layers) == len(adds)
    identity = [add for add in adds if not module.get_submodule(add.name.removesuffix("add") + "shortcut")]
    for add in identity:
        block = module.get_submodule(add.name.removesuffix(".add"))
        maps = torch.rand(2, add.in_channels, *add.input_size)
        assert torch.equal(block(maps), maps)


def test_weights_start_as_documented() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = build_model("mobilenet", input_shape=(3, 32, 32), num_classes=10)
    depthwise = module.get_submodule("stage6.block2.body.depthwise.conv").weight
    pointwise = module.get_submodule("stage6.block2.body.expand.conv").weight
    assert depthwise.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    assert pointwise.std().item() == pytest.approx((2 / 960) ** 0.5, rel=0.05)
