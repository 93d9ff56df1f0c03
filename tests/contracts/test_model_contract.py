"""What every registered family of networks must do. A new shipped family is tested without a word here."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from eml_models.networks.plan import Plan
from eml_models.networks.registry import (
    SHIPPED,
    ModelFamily,
    Option,
    OptionKind,
    PlanBuilder,
    build_model,
    build_plan,
    register_model,
    unregister_model,
)


def draw_flat(net: PlanBuilder, *, width: int) -> None:
    """A user's family, with what the shipped ones lack: biases, flattening, hidden linear layers, a gate."""
    net.conv("first", width, kernel=5, stride=2, bias=True)
    net.activation("first_act", "silu")
    with net.residual("block"):
        net.conv_bn_act("conv", width, groups=width)
    net.squeeze_excite("se", 2)
    net.flatten("flat")
    net.linear("hidden", 4 * width)
    net.activation("hidden_act", "relu6")
    net.linear("classifier", net.num_classes, bias=False)


FLAT = ModelFamily(
    name="flat_of_contract",
    draw=draw_flat,
    options=(Option(name="width", kind=OptionKind.INTEGER, default=8, low=1, high=64, doc="Channels."),),
)


@pytest.fixture(autouse=True)
def _register_flat() -> Iterator[None]:
    register_model(FLAT)
    yield
    unregister_model(FLAT.name)


SMALL: dict[str, dict[str, object]] = {
    "small_cnn": {"width": 8, "dropout": 0.2},
    "resnet18": {"width": 4},
    "mobilenet": {"width_mult": 0.1, "dropout": 0.2},
}
"""Options that make a family quick; families that are not here are tested with their defaults."""

FAMILIES = pytest.mark.parametrize("model", [*SHIPPED, FLAT.name])
SHAPES = pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (2, 11, 16)])
Shape = tuple[int, int, int]


def plan_of(model: str, shape: Shape = (3, 16, 16)) -> Plan:
    return build_plan(model, input_shape=shape, num_classes=5, **SMALL.get(model, {}))


def build_seeded(plan: Plan, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_model(plan)  # type: ignore[no-any-return]  # typed Any, see build_model


def images_of(plan: Plan, count: int = 4) -> torch.Tensor:
    return torch.randn(count, *plan.input_shape, generator=torch.Generator().manual_seed(3))


@FAMILIES
@SHAPES
def test_images_become_logits_of_the_classes(model: str, shape: Shape) -> None:
    plan = plan_of(model, shape)
    module = build_seeded(plan, 0).eval()
    for count in (1, 4):
        logits = module(images_of(plan, count))
        assert logits.shape == (count, 5)
        assert logits.isfinite().all()


@FAMILIES
@SHAPES
def test_parameters_are_those_of_the_plan(model: str, shape: Shape) -> None:
    plan = plan_of(model, shape)
    assert sum(weight.numel() for weight in build_seeded(plan, 0).parameters()) == plan.parameters
    assert plan.macs > 0


@FAMILIES
def test_gradient_reaches_every_parameter(model: str) -> None:
    plan = plan_of(model)
    module = build_seeded(plan, 0).double()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    labels = torch.arange(8) % 5
    for _ in range(
        2
    ):  # the first step moves the batch norms that start at zero, and hide what is before them
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(images_of(plan, 8).double()), labels).backward()
        optimizer.step()
    missed = [
        name for name, weight in module.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    assert missed == []


@FAMILIES
def test_same_seed_same_weights_to_the_bit(model: str) -> None:
    plan = plan_of(model)
    first, second, other = (build_seeded(plan, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


@FAMILIES
def test_training_mode_moves_statistics_and_eval_mode_does_not(model: str) -> None:
    plan = plan_of(model)
    module = build_seeded(plan, 0)
    assert module.training
    before = copy.deepcopy(module.state_dict())
    module.eval()
    with torch.no_grad():
        assert torch.equal(module(images_of(plan)), module(images_of(plan)))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    norms = [name for name in before if name.endswith("running_mean")]
    module.train()(images_of(plan))
    assert all(not torch.equal(module.state_dict()[name], before[name]) for name in norms)


@FAMILIES
def test_images_do_not_mix_in_eval_mode(model: str) -> None:
    plan = plan_of(model)
    module = build_seeded(plan, 0).eval().double()
    images = images_of(plan).double()
    with torch.no_grad():
        torch.testing.assert_close(module(images)[2:3], module(images[2:3]))


@FAMILIES
def test_input_is_left_alone(model: str) -> None:
    plan = plan_of(model)
    images = images_of(plan)
    kept = images.clone()
    build_seeded(plan, 0)(images)
    assert torch.equal(images, kept)


@FAMILIES
def test_channels_last_gives_the_same(model: str) -> None:
    plan = plan_of(model)
    module = build_seeded(plan, 0).eval().double()
    images = images_of(plan).double()
    with torch.no_grad():
        expected = module(images)
        module.to(memory_format=torch.channels_last)
        torch.testing.assert_close(module(images.contiguous(memory_format=torch.channels_last)), expected)


@FAMILIES
def test_state_goes_into_a_fresh_module(model: str) -> None:
    plan = plan_of(model)
    trained, fresh = build_seeded(plan, 0), build_seeded(plan, 9)
    trained(images_of(plan))
    fresh.load_state_dict(trained.state_dict())
    with torch.no_grad():
        assert torch.equal(trained.eval()(images_of(plan)), fresh.eval()(images_of(plan)))
