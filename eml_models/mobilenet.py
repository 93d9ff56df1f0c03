"""MobileNet of inverted residuals with linear bottlenecks, its width, expansion and depth free per stage.

Draws plans; no torch. Registered by `eml_models.registry`. The default is MobileNetV2's layout with the
strides usual for CIFAR and with SiLU in place of ReLU6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eml_models.family import ModelFamily, Option, OptionKind
from eml_models.plan_builder import ACTIVATIONS, PlanBuilder

# Source: arXiv 1801.04381, table 2.
STEM_CHANNELS = 32
STAGE_CHANNELS = (16, 24, 32, 64, 96, 160, 320)
STAGE_DEPTHS = (1, 2, 3, 4, 3, 3, 1)
HEAD_CHANNELS = 1280
NUM_STAGES = len(STAGE_CHANNELS)

FIRST_EXPANSION = 1.0
"""The first stage does not expand: its input is the stem's, before any bottleneck."""

STRIDES = {"cifar": (1, 1, 1, 2, 2, 1, 2, 1), "imagenet": (2, 1, 2, 2, 2, 1, 2, 1)}
"""Of the stem and then of the first block of each stage. CIFAR's as in chenyaofo/pytorch-cifar-models."""

LEAST_SHARE = 0.9
"""Rounding never takes more than a tenth of the channels away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The options of `MOBILENET` with their types; the table there says what they mean."""

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

    def stages(self) -> Iterator[tuple[int, float, int]]:
        """Channels, expansion and depth of each stage."""
        widths = self.widths or (1.0,) * NUM_STAGES
        expansions = self.expansions or (FIRST_EXPANSION,) + (self.expansion,) * (NUM_STAGES - 1)
        depths = self.depths or STAGE_DEPTHS
        for base, width, expansion, depth in zip(STAGE_CHANNELS, widths, expansions, depths, strict=True):
            yield round_channels(base * self.width_mult * width, self.divisor), expansion, depth


def draw_mobilenet(net: PlanBuilder, **options: Any) -> None:
    """A stem, seven stages of inverted residuals, a 1x1 head, and a linear classifier."""
    layout = Layout(**options)
    stem_stride, *stage_strides = STRIDES[layout.strides]
    stem = round_channels(STEM_CHANNELS * layout.width_mult, layout.divisor)
    net.conv_bn_act("stem", stem, stride=stem_stride, activation=layout.activation)
    stages = zip(layout.stages(), stage_strides, strict=True)
    for number, ((channels, expansion, depth), stride) in enumerate(stages, start=1):
        with net.chain(f"stage{number}"):
            for block in range(1, depth + 1):
                _draw_block(
                    net,
                    f"block{block}",
                    layout,
                    channels=channels,
                    expansion=expansion,
                    stride=stride if block == 1 else 1,
                )
    wide = round_channels(HEAD_CHANNELS * max(1.0, layout.width_mult), layout.divisor)
    net.conv_bn_act("head", layout.head_channels or wide, kernel=1, activation=layout.activation)
    net.classifier(dropout=layout.dropout)


def round_channels(channels: float, divisor: int) -> int:
    """The multiple of `divisor` nearest to `channels` (halves up) that keeps at least 90 % of them, never 0.

    Rises with `channels`, so that a wider network never costs less. Source: the rule of the MobileNet
    authors, as in torchvision.
    """
    nearest = max(1, int(channels / divisor + 0.5)) * divisor
    return nearest if nearest >= LEAST_SHARE * channels else nearest + divisor


def _draw_block(
    net: PlanBuilder, name: str, layout: Layout, *, channels: int, expansion: float, stride: int
) -> None:
    """Expand by a 1x1 convolution, filter depthwise, project linearly; add the input where shapes agree."""
    hidden = net.channels if expansion == 1.0 else round_channels(net.channels * expansion, layout.divisor)
    stride = net.fit_stride(name, stride)
    adds = stride == 1 and channels == net.channels
    with net.residual(name) if adds else net.chain(name):
        if expansion != 1.0:
            net.conv_bn_act("expand", hidden, kernel=1, activation=layout.activation)
        net.conv_bn_act("depthwise", hidden, stride=stride, groups=hidden, activation=layout.activation)
        with net.chain("project"):
            net.conv("conv", channels, kernel=1)
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
            doc="Multiplies the channels of stem and stages, and of the head where it is above 1.",
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
            doc="How many times its input's channels a block filters, in all stages but the first (1 there).",
        ),
        Option(
            name="expansions",
            kind=OptionKind.NUMBERS,
            default=None,
            low=1.0,
            high=16.0,
            length=NUM_STAGES,
            doc="The same for each of the seven stages, in place of expansion; null: expansion.",
        ),
        Option(
            name="depths",
            kind=OptionKind.INTEGERS,
            default=None,
            low=1,
            high=16,
            length=NUM_STAGES,
            doc=f"Blocks of each stage; null: {', '.join(map(str, STAGE_DEPTHS))}.",
        ),
        Option(
            name="activation",
            kind=OptionKind.CHOICE,
            default="silu",
            choices=ACTIVATIONS,
            doc="Behind every convolution that is not a bottleneck.",
        ),
        Option(
            name="dropout",
            kind=OptionKind.NUMBER,
            default=0.0,
            low=0.0,
            high=0.9,
            doc="Share of the classifier's inputs set to zero in training.",
        ),
        Option(
            name="divisor",
            kind=OptionKind.INTEGER,
            default=8,
            low=1,
            high=64,
            doc="Channels are rounded to multiples of it, which hardware likes.",
        ),
        Option(
            name="strides",
            kind=OptionKind.CHOICE,
            default="cifar",
            choices=tuple(STRIDES),
            doc="cifar: three halvings, for about 32 px. imagenet: five, for 224 px.",
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
            # times the rate (n = 3); level after 30 epochs. So early rungs gain, and nothing is lost.
            default=True,
            doc="Start each residual block as the identity (its last batch norm scales by zero).",
        ),
    ),
    source=(
        "arXiv 1801.04381; SiLU: arXiv 1702.03118. Deviations: strides for small images, free expansions "
        "(rounded like channels), a batch norm's defaults."
    ),
)
