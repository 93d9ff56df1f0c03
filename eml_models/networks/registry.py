"""The families of networks by name: shipped families and families that a user registers.

All code that makes a plan or a module from a name and options calls this module. It imports no torch until a
module is built. A family of your own needs a function that draws its layers, and one call::

    from eml_models.networks.registry import ModelFamily, Option, OptionKind, PlanBuilder
    from eml_models.networks.registry import build_model, build_plan, register_model

    def draw_tiny(net: PlanBuilder, *, width: int) -> None:
        net.conv_bn_act("stem", width)
        with net.residual("block", project=True, activation="relu"):
            net.conv_bn_act("first", 2 * width, stride=2)
            net.conv_bn_act("second", 2 * width, activation=None)
        net.classifier(dropout=0.1)

    WIDTH = Option(name="width", kind=OptionKind.INTEGER, default=16, low=1, high=256, doc="Stem channels.")
    register_model(ModelFamily(name="tiny", draw=draw_tiny, options=(WIDTH,)))

    plan = build_plan("tiny", input_shape=(3, 32, 32), num_classes=10, width=32)
    print(plan.describe())
    module = build_model(plan)
"""

from __future__ import annotations

from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.named import NamedEntries
from eml_models.networks.family import ModelFamily, Option, OptionKind
from eml_models.networks.mobilenet import MOBILENET
from eml_models.networks.plan import Plan
from eml_models.networks.plan_builder import PlanBuilder
from eml_models.networks.resnet import RESNET18
from eml_models.networks.small_cnn import SMALL_CNN

__all__ = [
    "SHIPPED",
    "ModelFamily",
    "Option",
    "OptionKind",
    "PlanBuilder",
    "build_model",
    "build_plan",
    "custom_models",
    "get_model",
    "known_models",
    "register_model",
    "unregister_model",
]

_families = NamedEntries("model", (SMALL_CNN, RESNET18, MOBILENET))
SHIPPED = _families.shipped
"""The families that come with the package. A new family is one file and one entry here."""

unregister_model = _families.unregister
custom_models = _families.custom
get_model = _families.get


def register_model(family: ModelFamily) -> ModelFamily:
    """Add a family to this process and to the workers of its runs; returns it.

    A family registered earlier under the same name is replaced, so that a notebook's cell can run twice.

    Raises:
        InvalidValueError: a shipped family has this name.
    """
    return _families.register(family)


def known_models() -> tuple[str, ...]:
    """The names of all families, the shipped ones first."""
    return _families.names()


def build_plan(
    name: str, /, *, input_shape: tuple[int, int, int], num_classes: int, **options: object
) -> Plan:
    """Draw the plan of a network.

    Args:
        name: name of the family.
        input_shape: (channels, height, width) of an image; height and width are at least 8 px.
        options: options of the family; ``get_model(name).options`` lists them.

    Raises:
        InvalidValueError: an unknown family or option, a value outside its bounds, or images that are too
            small.
    """
    family = get_model(name)
    resolved = family.resolve(options)
    net = PlanBuilder(input_shape, num_classes)
    family.draw(net, **resolved)
    return net.finish(name, resolved)


def build_model(
    model: str | Plan,
    /,
    *,
    input_shape: tuple[int, int, int] | None = None,
    num_classes: int | None = None,
    **options: object,
) -> Any:
    """Build the ``torch.nn.Module`` of a plan, or of a family's name with the arguments of `build_plan`.

    The module is in training mode, on the CPU, in fp32. It maps images (N, C, H, W) to logits
    (N, num_classes). Its weights come from torch's global generator, as in any torch module: seed it first,
    inside ``torch.random.fork_rng``. The return type is Any, because this module must not import torch.
    """
    if isinstance(model, Plan):
        if input_shape is not None or num_classes is not None or options:
            raise InvalidValueError("a plan already has its shape, classes and options; give the plan alone")
        plan = model
    elif input_shape is None or num_classes is None:
        raise InvalidValueError(f"build_model({model!r}) needs input_shape and num_classes")
    else:
        plan = build_plan(model, input_shape=input_shape, num_classes=num_classes, **options)
    build = get_model(plan.model).build
    if build is not None:
        return build(plan)
    # importing torch takes seconds, and a search needs only plans
    from eml_models.networks.layers import build_module

    return build_module(plan)
