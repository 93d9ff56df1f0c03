"""Steps of a case: the part of a network that it times, and the source of its batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from latency_testing import TINY
from torch import nn

from eml_models.errors import InvalidValueError
from eml_models.latency.bench.cases import Case, Source, Variant
from eml_models.latency.bench.steps import build_step, build_variant
from eml_models.latency.counting.operators import count_operators
from eml_models.latency.explaining.evidence import count_network
from eml_models.latency.measuring.modes import PLAIN
from eml_models.networks.family import ModelFamily
from eml_models.networks.plan import Plan
from eml_models.networks.plan_builder import PlanBuilder
from eml_models.networks.registry import register_model, unregister_model
from eml_models.networks.words import (
    NetworkSpec,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize("network", [TINY, NetworkSpec(name="r", model="resnet18", options={"width": 4})])
def test_a_skeleton_runs_as_many_operators_without_their_work(network: NetworkSpec) -> None:
    case = Case(network=network, mode=PLAIN, batch_size=1, variant=Variant.SKELETON)
    whole = count_operators(
        build_variant(Case(network=network, mode=PLAIN, batch_size=1)), network.input_shape
    )
    bare = count_operators(build_variant(case), (1, 8, 8))
    assert [o.name for o in bare.operators] == [o.name for o in whole.operators]
    assert bare.macs < whole.macs / 8


def test_without_depthwise_only_these_are_gone() -> None:
    case = Case(network=TINY, mode=PLAIN, batch_size=1, variant=Variant.WITHOUT_DEPTHWISE)
    whole, rest = build_variant(Case(network=TINY, mode=PLAIN, batch_size=1)), build_variant(case)
    depthwise = [m for m in whole.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert len(depthwise) == 17
    assert not [m for m in rest.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    images = torch.rand(2, *TINY.input_shape)
    assert rest.eval()(images).shape == whole.eval()(images).shape


@contextmanager
def built_by(build: Callable[[Plan], nn.Module]) -> Iterator[NetworkSpec]:
    """A network of a user's family that builds its module by itself."""

    def draw(net: PlanBuilder) -> None:
        net.conv_bn_act("stem", 4)
        net.classifier()

    register_model(ModelFamily(name="own", draw=draw, build=build))
    yield NetworkSpec(name="own", model="own", input_shape=(4, 8, 8))
    unregister_model("own")


@pytest.mark.parametrize(
    "filters",
    [
        nn.Conv2d(4, 8, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 4, 3, padding=1, stride=(1, 2), groups=4),
    ],
    ids=["more channels", "smaller", "two strides"],
)
def test_a_network_is_not_taken_for_what_is_left_of_another(filters: nn.Conv2d) -> None:
    with built_by(lambda plan: nn.Sequential(filters, nn.Flatten(), nn.LazyLinear(10))) as network:
        for variant in (Variant.WITHOUT_DEPTHWISE, Variant.SKELETON):
            with pytest.raises(InvalidValueError, match=r"another network|no skeleton of it"):
                build_variant(Case(network=network, mode=PLAIN, batch_size=1, variant=variant))


def test_a_module_that_depends_on_values_is_refused_in_words() -> None:
    class Gated(nn.Flatten):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1) if float(x.sum()) > 0 else -x.flatten(1)

    with (
        built_by(lambda plan: Gated()) as network,
        pytest.raises(InvalidValueError, match="the operators of own cannot be counted"),
    ):
        count_network(network, 1)


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_step_runs_from_a_cached_batch_or_a_loader(source: Source, channels: int) -> None:
    network = NetworkSpec(name="c", model="small_cnn", input_shape=(channels, 8, 8))
    step = build_step(Case(network=network, mode=PLAIN, batch_size=5, source=source), CPU)
    with step.settings():
        logits = step.call()
    assert isinstance(logits, torch.Tensor)
    assert logits.shape == (5, 10)
    assert (step.batch_size, step.notes) == (5, ())


def test_building_a_step_leaves_the_generator_as_found() -> None:
    before = torch.get_rng_state()
    build_variant(Case(network=TINY, mode=PLAIN, batch_size=1))
    assert torch.equal(torch.get_rng_state(), before)
