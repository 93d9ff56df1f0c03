"""What the latency tests share: a MobileNetV2 that is not ours, a tiny network, conditions."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from eml_models.latency.measuring.conditions import Conditions
from eml_models.networks.words import NetworkSpec

TINY = NetworkSpec(
    name="tiny", model="mobilenet", options={"width_mult": 0.1, "head_channels": 8}, input_shape=(3, 8, 8)
)

CONDITIONS = Conditions(
    device="cpu",
    device_name="a CPU",
    torch_version="2.14.1",
    cudnn_version=None,
    threads=1,
    allocator="default",
    clock_mhz=None,
    load_average=None,
)

# Source: arXiv 1801.04381, table 2, with CIFAR strides: expansion, channels, blocks, stride.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class Bottleneck(nn.Module):
    """An inverted residual that also projects the shortcut where channels change at stride 1."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = conv_norm(inputs, hidden, 1)
        self.filter = conv_norm(hidden, hidden, 3, stride=stride, groups=hidden)
        self.project = conv_norm(hidden, outputs, 1)
        self.adds = stride == 1
        self.shortcut = conv_norm(inputs, outputs, 1) if self.adds and inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.project(functional.relu(self.filter(functional.relu(self.expand(x)))))
        return out + self.shortcut(x) if self.adds else out


class MobileNetV2(nn.Module):
    """MobileNetV2 at 32 px with projected shortcuts: 91,154,944 MACs, 2,296,922 parameters."""

    def __init__(self) -> None:
        super().__init__()
        blocks, channels = [], 32
        for expansion, outputs, depth, stride in STAGES:
            for block in range(depth):
                blocks.append(Bottleneck(channels, outputs, expansion, stride if block == 0 else 1))
                channels = outputs
        self.stem = conv_norm(3, 32, 3)
        self.blocks = nn.Sequential(*blocks)
        self.head = conv_norm(320, 1280, 1)
        self.classifier = nn.Linear(1280, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = functional.relu(self.head(self.blocks(functional.relu(self.stem(x)))))
        logits: torch.Tensor = self.classifier(functional.avg_pool2d(maps, 4).flatten(1))
        return logits


def conv_norm(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def with_used_norms(model: nn.Module) -> nn.Module:
    """Batch norms as after training: their statistics are not the identity's."""
    generator = torch.Generator().manual_seed(0)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values, low, high in ((part.running_mean, -0.1, 0.1), (part.running_var, 0.5, 2.0),
                                      (part.weight, 0.5, 1.5), (part.bias, -0.1, 0.1)):  # fmt: skip
                assert values is not None
                values.data.uniform_(low, high, generator=generator)
    return model
