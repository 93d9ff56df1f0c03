"""What a measurement asks of a cluster, without one."""

from __future__ import annotations

import pytest

from eml_models.latency.explaining.campaign import Campaign
from eml_models.latency.measuring.modes import PLAIN
from eml_models.networks.words import parse_network
from tune_jobs.on_ray.latency import _whole_device

ON_CUDA = Campaign(
    networks=(parse_network("resnet18"),), modes=(PLAIN,), batch_sizes=(1,), device="cuda", explain=False
)


def node(*, alive: bool = True, **resources: float) -> dict[str, object]:
    return {"Alive": alive, "Resources": resources}


@pytest.mark.parametrize(("cpus", "held"), [(4.0, 4.0), (8.0, 8.0), (64.0, 8.0), (0.0, 0.0)])
def test_beside_a_gpu_up_to_eight_of_its_nodes_cpus_are_held(cpus: float, held: float) -> None:
    nodes = [node(CPU=96.0), node(CPU=cpus, GPU=1.0), node(alive=False, CPU=128.0, GPU=8.0)]
    assert _whole_device(nodes, ON_CUDA) == {"num_gpus": 1, "num_cpus": held}
