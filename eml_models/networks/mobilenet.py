"""MobileNet: inverted residuals with linear bottlenecks, with options for each stage.

Draws plans; imports no torch. Registered by `eml_models.networks.registry`. The default is MobileNetV2's
layout with the strides usual for CIFAR and with SiLU in place of ReLU6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eml_models.networks.family import ModelFamily, Option, OptionKind
from eml_models.networks.plan_builder import ACTIVATIONS, PlanBuilder

# Source: arXiv 1801.04381, table 2.
STEM_CHANNELS = 32
STAGE_CHANNELS = (16, 24, 32, 64, 96, 160, 320)
STAGE_DEPTHS = (1, 2, 3, 4, 3, 3, 1)
HEAD_CHANNELS = 1280
KERNEL = 3
NUM_STAGES = len(STAGE_CHANNELS)

FIRST_EXPANSION = 1.0
"""The first stage does not expand: its input comes from the stem, not from a bottleneck."""

STRIDES = {"cifar": (1, 1, 1, 2, 2, 1, 2, 1), "imagenet": (2, 1, 2, 2, 2, 1, 2, 1)}
"""Strides of the stem, then of the first block of each stage. Source of CIFAR's:
chenyaofo/pytorch-cifar-models."""

LEAST_SHARE = 0.9
"""Rounding keeps at least this share of the channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """`depth` blocks with `channels` channels each; `kernel` is the side of their depthwise filters."""

    channels: int
    expansion: float
    depth: int
    kernel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The options of `MOBILENET` with their types; `MOBILENET` explains each."""

    width_mult: float
    widths: tuple[float, ...] | None
    expansion: float
    expansions: tuple[float, ...] | None
    depths: tuple[int, ...] | None
    activation: str
    dropout: float
    divisor: int
    strides: str
    head_channels: int | None
    zero_gamma: bool
    stem_channels: int | None
    kernels: tuple[int, ...] | None
    se_ratio: float

    def stages(self) -> Iterator[Stage]:
        """Each stage, from its options or their defaults."""
        widths = self.widths or (1.0,) * NUM_STAGES
        expansions = self.expansions or (FIRST_EXPANSION,) + (self.expansion,) * (NUM_STAGES - 1)
        depths = self.depths or STAGE_DEPTHS
        kernels = self.kernels or (KERNEL,) * NUM_STAGES
        rows = zip(STAGE_CHANNELS, widths, expansions, depths, kernels, strict=True)
        for base, width, expansion, depth, kernel in rows:
            channels = round_channels(base * self.width_mult * width, self.divisor)
            yield Stage(channels=channels, expansion=expansion, depth=depth, kernel=kernel)


def draw_mobilenet(net: PlanBuilder, **options: Any) -> None:
    """Draw a stem, seven stages of inverted residuals, a 1x1 head, and a linear classifier."""
    layout = Layout(**options)
    stem_stride, *stage_strides = STRIDES[layout.strides]
    stem = layout.stem_channels or round_channels(STEM_CHANNELS * layout.width_mult, layout.divisor)
    net.conv_bn_act("stem", stem, stride=stem_stride, activation=layout.activation)
    stages = zip(layout.stages(), stage_strides, strict=True)
    for number, (stage, stride) in enumerate(stages, start=1):
        with net.chain(f"stage{number}"):
            for block in range(1, stage.depth + 1):
                _draw_block(net, f"block{block}", layout, stage, stride=stride if block == 1 else 1)
    wide = round_channels(HEAD_CHANNELS * max(1.0, layout.width_mult), layout.divisor)
    net.conv_bn_act("head", layout.head_channels or wide, kernel=1, activation=layout.activation)
    net.classifier(dropout=layout.dropout)


def round_channels(channels: float, divisor: int) -> int:
    """Round to the nearest multiple of `divisor` (halves up) that is at least 90 % of `channels` and never 0.

    The result never falls when `channels` rises, so a wider network never costs less. Source: the rule of the
    MobileNet authors, as in torchvision.
    """
    nearest = max(1, int(channels / divisor + 0.5)) * divisor
    return nearest if nearest >= LEAST_SHARE * channels else nearest + divisor


def _draw_block(net: PlanBuilder, name: str, layout: Layout, stage: Stage, *, stride: int) -> None:
    """Expand by a 1x1 convolution, filter depthwise, project linearly; add the input if the shapes agree."""
    expands = stage.expansion != 1.0
    hidden = round_channels(net.channels * stage.expansion, layout.divisor) if expands else net.channels
    stride = net.fit_stride(name, stride)
    adds = stride == 1 and stage.channels == net.channels
    with net.residual(name) if adds else net.chain(name):
        if expands:
            net.conv_bn_act("expand", hidden, kernel=1, activation=layout.activation)
        net.conv_bn_act(
            "depthwise",
            hidden,
            kernel=stage.kernel,
            stride=stride,
            groups=hidden,
            activation=layout.activation,
        )
        if layout.se_ratio:
            squeezed = round_channels(hidden * layout.se_ratio, layout.divisor)
            net.squeeze_excite("se", squeezed, activation=layout.activation)
        with net.chain("project"):
            net.conv("conv", stage.channels, kernel=1)
            net.batch_norm("norm", zero_gamma=layout.zero_gamma and adds)


MOBILENET = ModelFamily(
    name="mobilenet",
    draw=draw_mobilenet,
    width="width_mult",
    options=(
        Option(
            name="width_mult",
            kind=OptionKind.NUMBER,
            default=1.0,
            low=0.01,
            high=4.0,
            doc="Multiplies the channels of stem and stages; if it is above 1, those of the head too.",
        ),
        Option(
            name="widths",
            kind=OptionKind.NUMBERS,
            default=None,
            low=0.1,
            high=4.0,
            length=NUM_STAGES,
            doc="Multiplies the channels of each stage on top of width_mult; null: 1 for all.",
        ),
        Option(
            name="expansion",
            kind=OptionKind.NUMBER,
            default=6.0,
            low=1.0,
            high=16.0,
            doc="Depthwise channels of a block per input channel, in all stages but the first (1 there).",
        ),
        Option(
            name="expansions",
            kind=OptionKind.NUMBERS,
            default=None,
            low=1.0,
            high=16.0,
            length=NUM_STAGES,
            doc="An expansion for each of the seven stages; null: the rule of expansion.",
        ),
        Option(
            name="depths",
            kind=OptionKind.INTEGERS,
            default=None,
            low=1,
            high=16,
            length=NUM_STAGES,
            doc=f"Number of blocks in each stage; null: {', '.join(map(str, STAGE_DEPTHS))}.",
        ),
        Option(
            name="activation",
            kind=OptionKind.CHOICE,
            # Digits, 0.09 M MACs: 2.4 [1.2, 3.6] points more than relu (n = 10, benchmarks.recipe_options).
            default="silu",
            choices=ACTIVATIONS,
            doc="Activation after every convolution that does not end a block.",
        ),
        Option(
            name="dropout",
            kind=OptionKind.NUMBER,
            default=0.0,
            low=0.0,
            high=0.9,
            doc="Share of the classifier's inputs that training sets to zero.",
        ),
        Option(
            name="divisor",
            kind=OptionKind.INTEGER,
            default=8,
            low=1,
            high=64,
            doc="Channels are rounded to multiples of this number, which hardware computes well.",
        ),
        Option(
            name="strides",
            kind=OptionKind.CHOICE,
            default="cifar",
            choices=tuple(STRIDES),
            doc="cifar: halves maps three times, for about 32 px. imagenet: five times, for 224 px.",
        ),
        Option(
            name="head_channels",
            kind=OptionKind.INTEGER,
            default=None,
            low=8,
            high=5120,
            doc=f"Channels of the last 1x1 convolution; null: {HEAD_CHANNELS} * max(1, width_mult).",
        ),
        Option(
            name="zero_gamma",
            kind=OptionKind.FLAG,
            # On digits, 0.41 M MACs, 12 epochs: 97.9 against 95.9 % (n = 4), and 98.8 against 97.1 % at four
            # times the rate (n = 3); equal after 30 epochs. So early rungs gain, and later ones lose nothing.
            # 0.09 M MACs, 18 epochs: 2.1 [1.1, 3.0] points more (n = 10, benchmarks.recipe_options).
            default=True,
            doc="Start each residual block as the identity: its last batch norm multiplies by zero.",
        ),
        Option(
            name="stem_channels",
            kind=OptionKind.INTEGER,
            default=None,
            low=1,
            high=512,
            # arXiv 1905.02244, section 5.1, halves the 32 channels without loss. In a small network, 16 is
            # more than 32 * width_mult, and costs MACs that other layers need: -0.9 [-2.0, 0.2] points on
            # digits, 0.09 M MACs (n = 10, benchmarks.recipe_options).
            doc=f"Channels of the first convolution; null: {STEM_CHANNELS} * width_mult.",
        ),
        Option(
            name="kernels",
            kind=OptionKind.INTEGERS,
            default=None,
            low=1,
            high=7,
            length=NUM_STAGES,
            odd=True,
            # The search of arXiv 1807.11626 uses both 3 and 5. On digits, within 0.09 M MACs, 5 in every
            # second stage: -0.1 [-1.6, 1.4] points (n = 10, benchmarks.recipe_options). Let a search choose.
            doc=f"Side of the depthwise filters of each stage; null: {KERNEL} for all.",
        ),
        Option(
            name="se_ratio",
            kind=OptionKind.NUMBER,
            default=0.0,
            low=0.0,
            high=1.0,
            # arXiv 1709.01507; position and width (a quarter of the expanded channels): arXiv 1905.02244.
            # With a quarter, on digits, within 0.09 M MACs: -0.9 [-1.9, 0.1] points (n = 10,
            # benchmarks.recipe_options).
            doc="Squeeze-and-excitation after each depthwise filter: its share of the channels; 0: none.",
        ),
    ),
    source=(
        "arXiv 1801.04381; SiLU: arXiv 1702.03118; kernels: arXiv 1807.11626; squeeze-and-excitation: arXiv "
        "1709.01507, placed and sized as in arXiv 1905.02244. Deviations: strides for small images, free "
        "expansions (rounded like channels), a batch norm's defaults, a plain sigmoid as gate."
    ),
)
