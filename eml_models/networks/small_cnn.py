"""A small plain CNN for images like MNIST's: stages of 3x3 convolutions; each stage doubles the channels.

Draws plans; imports no torch. Registered by `eml_models.networks.registry`.
"""

from __future__ import annotations

from eml_models.networks.family import ModelFamily, Option, OptionKind
from eml_models.networks.plan_builder import PlanBuilder


def draw_small_cnn(net: PlanBuilder, *, width: int, depth: int, convs: int, dropout: float) -> None:
    """Draw `depth` stages, each of which ends by halving the map, and a linear classifier."""
    for stage in range(depth):
        with net.chain(f"stage{stage + 1}"):
            for conv in range(convs):
                net.conv_bn_act(f"conv{conv + 1}", width * 2**stage)
            net.max_pool("pool")
    net.classifier(dropout=dropout)


SMALL_CNN = ModelFamily(
    name="small_cnn",
    draw=draw_small_cnn,
    width="width",
    options=(
        Option(
            name="width",
            kind=OptionKind.INTEGER,
            default=16,
            low=1,
            high=512,
            doc="Channels of the first stage; each further stage has twice as many.",
        ),
        Option(
            name="depth",
            kind=OptionKind.INTEGER,
            default=3,
            low=1,
            high=6,
            doc="Number of stages; each halves the map.",
        ),
        Option(
            name="convs", kind=OptionKind.INTEGER, default=1, low=1, high=4, doc="Convolutions per stage."
        ),
        Option(
            name="dropout",
            kind=OptionKind.NUMBER,
            default=0.0,
            low=0.0,
            high=0.9,
            doc="Share of the classifier's inputs that training sets to zero.",
        ),
    ),
    source="No paper: a small version of VGG's pattern (arXiv 1409.1556) with batch norm and global pooling.",
)
