"""Builds the torch module of a plan: one submodule per layer, under the layer's name.

`eml_models.networks.registry.build_model` calls it. It decides how a layer is computed and how its weights
start, never which layers a network has.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import nn

from eml_models.networks.plan import Chain, Gated, LayerKind, LayerSpec, Node, Plan

ACTIVATION_MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
}


class Network(nn.Sequential):
    """The module of a plan: images (N, C, H, W) to logits (N, classes).

    Attributes:
        plan: the plan that it was built from.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(_build_children(plan.nodes))
        self.plan = plan


class ResidualBlock(nn.Module):
    """``after(add(body(x), shortcut(x)))``."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.add, self.after = body, shortcut, Add(), after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Takes and returns feature maps (N, C, H, W)."""
        out: torch.Tensor = self.after(self.add(self.body(x), self.shortcut(x)))
        return out


class Add(nn.Module):
    """Adds two feature maps; a module, so that hooks see the addition."""

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left + right


class GatedBlock(nn.Module):
    """``scale(x, gate(x))``."""

    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.gate, self.scale = gate, Scale()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Takes and returns feature maps (N, C, H, W)."""
        out: torch.Tensor = self.scale(x, self.gate(x))
        return out


class Scale(nn.Module):
    """Multiplies each feature map of (N, C, H, W) by its factor of (N, C); a module, so that hooks see it."""

    def forward(self, maps: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        return maps * factors[:, :, None, None]


class GlobalPool(nn.Module):
    """The mean of each feature map: (N, C, H, W) to (N, C).

    It is deterministic on CUDA; AdaptiveAvgPool2d is not.
    """

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.mean((2, 3))


def build_module(plan: Plan) -> Network:
    """Build the network of a plan. Its weights come from torch's global generator, as in any torch module."""
    network = Network(plan)
    initialize(network)
    return network


def initialize(network: Network) -> None:
    """Draw new weights.

    Convolutions: a normal distribution with variance 2 / fan-out (arXiv 1502.01852, equation 14). The fan-out
    of a grouped convolution is that of one group. Linear layers: torch's default, uniform in
    +-1 / sqrt(fan-in). Batch norms: a scale of 1, or of 0 if the plan says so, and a shift of 0.
    """
    for layer in network.plan.layers:
        module = network.get_submodule(layer.name)
        if isinstance(module, nn.Conv2d):
            fan_out = layer.kernel**2 * layer.out_channels // layer.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            module.reset_parameters()
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
            if layer.zero_gamma:
                nn.init.zeros_(module.weight)


def _build_children(nodes: Iterable[Node]) -> OrderedDict[str, nn.Module]:
    return OrderedDict((node.name.rpartition(".")[2], _build_node(node)) for node in nodes)


def _build_node(node: Node) -> nn.Module:
    if isinstance(node, LayerSpec):
        return _build_layer(node)
    if isinstance(node, Chain):
        return nn.Sequential(_build_children(node.nodes))
    if isinstance(node, Gated):
        return GatedBlock(nn.Sequential(_build_children(node.gate)))
    return ResidualBlock(
        nn.Sequential(_build_children(node.body)),
        nn.Sequential(_build_children(node.shortcut)),
        nn.Sequential(_build_children(node.after)),
    )


def _build_layer(layer: LayerSpec) -> nn.Module:
    padding = (layer.kernel - 1) // 2
    match layer.kind:
        case LayerKind.CONV:
            return nn.Conv2d(
                layer.in_channels,
                layer.out_channels,
                layer.kernel,
                stride=layer.stride,
                padding=padding,
                groups=layer.groups,
                bias=layer.bias,
            )
        case LayerKind.LINEAR:
            return nn.Linear(layer.in_channels, layer.out_channels, bias=layer.bias)
        case LayerKind.BATCH_NORM:
            return nn.BatchNorm2d(layer.out_channels)
        case LayerKind.ACTIVATION:
            return ACTIVATION_MODULES[layer.function]()
        case LayerKind.MAX_POOL:
            return nn.MaxPool2d(layer.kernel, stride=layer.stride, padding=padding)
        case LayerKind.GLOBAL_POOL:
            return GlobalPool()
        case LayerKind.FLATTEN:
            return nn.Flatten()
        case LayerKind.DROPOUT:
            return nn.Dropout(layer.rate)
        case LayerKind.ADD | LayerKind.SCALE:
            raise AssertionError(f"{layer.kind} is made by its block, never as a layer of its own")
