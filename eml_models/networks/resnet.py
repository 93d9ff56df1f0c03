"""ResNet-18 and its narrow versions: the dense baseline of every comparison.

Draws plans; imports no torch. Registered by `eml_models.networks.registry`. A ResNet that is narrow enough to
have a MobileNet's MACs is often faster than that MobileNet, so `width` is an option.
"""

from __future__ import annotations

from eml_models.networks.family import ModelFamily, Option, OptionKind
from eml_models.networks.plan_builder import PlanBuilder

BLOCKS_PER_STAGE = 2
STAGE_STRIDES = (1, 2, 2, 2)


def draw_resnet18(net: PlanBuilder, *, width: int, stem: str, zero_gamma: bool) -> None:
    """Draw a stem, four stages of two basic blocks (channels double per stage), and a linear classifier."""
    if stem == "imagenet":
        net.conv_bn_act("stem", width, kernel=7, stride=2)
        net.max_pool("stem_pool", kernel=3, stride=2)
    else:
        net.conv_bn_act("stem", width, kernel=3)
    for stage, stride in enumerate(STAGE_STRIDES):
        with net.chain(f"stage{stage + 1}"):
            for block in range(BLOCKS_PER_STAGE):
                channels = width * 2**stage
                with net.residual(f"block{block + 1}", project=True, activation="relu"):
                    net.conv_bn_act("first", channels, stride=stride if block == 0 else 1)
                    with net.chain("second"):
                        net.conv("conv", channels)
                        net.batch_norm("norm", zero_gamma=zero_gamma)
    net.classifier()


RESNET18 = ModelFamily(
    name="resnet18",
    draw=draw_resnet18,
    width="width",
    options=(
        Option(
            name="width",
            kind=OptionKind.INTEGER,
            default=64,
            low=1,
            high=512,
            doc="Channels of the stem and the first stage; the last stage has 8 times as many.",
        ),
        Option(
            name="stem",
            kind=OptionKind.CHOICE,
            default="cifar",
            choices=("cifar", "imagenet"),
            doc="cifar: 3x3, stride 1, no pooling. imagenet: 7x7, stride 2, then max pooling, for 224 px.",
        ),
        Option(
            name="zero_gamma",
            kind=OptionKind.FLAG,
            # On digits, width 8, n = 4: 89.0 against 96.7 % after 4 epochs, 97.4 against 97.9 % after 10.
            default=False,
            doc="Start each residual block as the identity: its last batch norm multiplies by zero.",
        ),
    ),
    source="arXiv 1512.03385, table 1, shortcuts of option B; CIFAR stem as in kuangliu/pytorch-cifar.",
)
