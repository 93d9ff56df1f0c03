"""What only a GPU shows: every mode computes the network, graphs replay, chains run to their ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from latency_testing import with_used_norms
from torch import nn

from eml_models.latency.deploy import deploy, save_deployed, save_onnx
from eml_models.latency.explaining.campaign import Campaign
from eml_models.latency.explaining.investigation import run_campaign
from eml_models.latency.measuring.error_bounds import bound_error
from eml_models.latency.measuring.modes import COMPILED, Mode, default_modes, iter_all_modes, parse_mode
from eml_models.latency.measuring.timing import measure_latency
from eml_models.networks.registry import build_model
from eml_models.networks.words import parse_network

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

UNCOMPILED = [mode for mode in iter_all_modes() if mode.execution not in COMPILED]


def network() -> nn.Module:
    return with_used_norms(build_model("mobilenet", input_shape=(3, 32, 32), num_classes=10, width_mult=0.25))


@pytest.mark.parametrize("mode", UNCOMPILED, ids=str)
def test_every_mode_computes_the_network(mode: Mode) -> None:
    images = torch.rand(8, 3, 32, 32)
    deployed = deploy(network(), images, mode, device="cuda")
    assert deployed.error <= bound_error(deployed.prepared.module, mode.precision)
    again = deployed(images.flip(0))  # a graph must take new images, not replay the captured ones
    torch.testing.assert_close(again, deployed(images).flip(0), rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    "mode",
    [
        "fp16-weights/channels_last/max-autotune/folded",
        "fp32/compile",
        "fp32/max-autotune",
        "tf32/channels_last/max-autotune/folded",
        "tf32conv/reduce-overhead",
    ],
)
def test_compiled_modes_compute_the_network(mode: str) -> None:
    assert deploy(network(), torch.rand(8, 3, 32, 32), parse_mode(mode), device="cuda").error < 0.02


def test_settings_of_the_process_are_put_back() -> None:
    cudnn = torch.backends.cudnn
    before = (cudnn.benchmark, torch.backends.cuda.matmul.fp32_precision, cudnn.conv.fp32_precision)
    for mode in ("fp32", "tf32", "fp16-autocast/graph"):
        measure_latency(network(), torch.rand(4, 3, 32, 32), parse_mode(mode), device="cuda", seconds=0.05)
    assert before == (
        cudnn.benchmark,
        torch.backends.cuda.matmul.fp32_precision,
        cudnn.conv.fp32_precision,
    )


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_a_graph_of_a_second_gpu_replays_what_it_is_given() -> None:
    deployed = deploy(network(), torch.rand(8, 3, 32, 32), parse_mode("fp32/graph"), device="cuda:1")
    first, second = (deployed(torch.rand(8, 3, 32, 32)) for _ in range(2))
    assert not torch.equal(first, second)


def test_a_graph_outlives_what_others_clear_and_give_back() -> None:
    deployed = deploy(network(), torch.rand(8, 3, 32, 32), parse_mode("fp16-weights/graph"), device="cuda")
    images = torch.rand(8, 3, 32, 32)
    expected = deployed(images)
    torch._C._cuda_clearCublasWorkspaces()  # as a compiler does before it records a graph of its own
    torch.cuda.empty_cache()  # as cuDNN's search does
    taken = [torch.full((1 << 20,), 7.0, device="cuda") for _ in range(32)]
    torch.testing.assert_close(deployed(images), expected, rtol=0, atol=0)
    torch.cuda.synchronize()
    assert all(bool((one == 7.0).all()) for one in taken)


@pytest.mark.parametrize("mode", ["fp32/graph", "fp16-weights/graph/folded"])
def test_a_network_on_a_gpu_is_written(mode: str, tmp_path: Path) -> None:
    deployed = deploy(network(), torch.rand(8, 3, 32, 32), parse_mode(mode), device="cuda")
    save_deployed(deployed, tmp_path / "net.pt2")
    if deployed.mode.precision == "fp32":
        pytest.importorskip("onnxruntime")
        save_onnx(deployed, tmp_path / "net.onnx")


def test_a_graph_is_quicker_than_launching_small_kernels() -> None:
    images = torch.rand(1, 3, 32, 32)
    eager, graph = (
        measure_latency(network(), images, parse_mode(mode), device="cuda")
        for mode in ("fp16-weights/eager", "fp16-weights/graph")
    )
    assert graph.median_ms < eager.median_ms
    assert graph.conditions.cudnn_version is not None


def test_a_whole_investigation_runs() -> None:
    result = run_campaign(
        Campaign(
            networks=(parse_network("resnet18:width=16"), parse_network("mobilenet-30m")),
            modes=default_modes("cuda"),
            batch_sizes=(1, 128),
            device="cuda",
            rounds=2,
        )
    )
    for waterfall in result.waterfalls:
        assert sum(share.ms for share in waterfall.shares) == pytest.approx(waterfall.total_ms)
        assert waterfall.untestable == ()
    assert len(result.verdicts) == 5
