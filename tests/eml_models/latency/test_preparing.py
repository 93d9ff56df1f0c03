"""What a mode sets and leaves behind, with CUDA's graphs, streams and devices played on a CPU.

Played: which device is current, a graph that runs the captured call into the captured logits, as CUDA's does,
and whose memory cuBLAS works in.
Not played: kernels, their numbers and their speed; `test_on_cuda` has these.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from latency_testing import with_used_norms
from torch import nn

from eml_models.errors import NotCompiledError
from eml_models.latency.deploy import deploy
from eml_models.latency.measuring import preparing
from eml_models.latency.measuring.modes import parse_mode
from eml_models.latency.measuring.preparing import Prepared
from eml_models.networks.registry import build_model

CPU = torch.device("cpu")
IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class PlayedCuda:
    """Answers for torch.cuda; knows which device is current and where each graph was captured."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.current = 0
        self.captured: list[tuple[int, Any]] = []
        self.workspaces: dict[object, Workspace] = {}
        self._stream, self._capturing = PlayedStream(), False
        patch.setattr(preparing, "unsupported_reason", lambda mode, device: None)
        patch.setattr(torch.cuda, "device", self.device)
        patch.setattr(torch.cuda, "Stream", PlayedStream)
        patch.setattr(torch.cuda, "current_stream", PlayedStream)
        patch.setattr(torch.cuda, "stream", self.stream)
        patch.setattr(torch._C, "_cuda_clearCublasWorkspaces", self.clear_workspaces, raising=False)
        patch.setattr(torch.cuda, "CUDAGraph", PlayedGraph)
        patch.setattr(torch.cuda, "graph", self.graph)
        run = Prepared._run

        def noting(prepared: Prepared, images: torch.Tensor) -> torch.Tensor:
            logits = run(prepared, images)
            workspace = self.workspaces.setdefault(self._stream, Workspace(is_graphs=self._capturing))
            PlayedGraph.last = (lambda: run(prepared, images), logits, workspace)
            return logits

        patch.setattr(Prepared, "_run", noting)

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        before, self.current = self.current, device.index
        yield
        self.current = before

    @contextmanager
    def graph(self, graph: PlayedGraph, stream: PlayedStream | None = None) -> Iterator[None]:
        self.captured.append((self.current, stream and stream.device))
        self._stream, self._capturing = stream or PlayedStream(), True
        yield
        self._stream, self._capturing = PlayedStream(), False
        assert PlayedGraph.last is not None
        graph.call, graph.logits, graph.workspace = PlayedGraph.last

    @contextmanager
    def stream(self, stream: PlayedStream) -> Iterator[None]:
        before, self._stream = self._stream, stream
        yield
        self._stream = before

    def clear_workspaces(self) -> None:
        """As a compiler does before and after it records a graph of its own."""
        for workspace in self.workspaces.values():
            workspace.is_there = workspace.is_graphs  # a graph's memory lives as long as it does
        self.workspaces.clear()


@dataclass
class Workspace:
    """What cuBLAS works in on one stream; made by the first product there."""

    is_graphs: bool
    is_there: bool = True


class PlayedStream:
    def __init__(self, device: torch.device | None = None) -> None:
        self.device = device

    def wait_stream(self, other: PlayedStream) -> None:
        pass


class PlayedGraph:
    last: tuple[Callable[[], torch.Tensor], torch.Tensor, Workspace] | None = None
    call: Callable[[], torch.Tensor]
    logits: torch.Tensor
    workspace: Workspace

    def replay(self) -> None:
        if not self.workspace.is_there:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        self.logits.copy_(self.call())


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> PlayedCuda:
    return PlayedCuda(monkeypatch)


def network() -> nn.Module:
    model = build_model("mobilenet", input_shape=(3, 8, 8), num_classes=10, width_mult=0.1)
    return with_used_norms(model)


def test_a_graph_is_captured_on_the_device_of_its_mode(cuda: PlayedCuda) -> None:
    prepared = Prepared(network(), parse_mode("fp32/graph"), CPU)
    prepared.device = torch.device("cuda", 1)  # from here on; the network itself stays on the CPU
    prepared(IMAGES)
    assert cuda.captured == [(1, prepared.device)]
    assert cuda.current == 0


def test_a_graph_outlives_the_workspaces_that_others_clear(cuda: PlayedCuda) -> None:
    first, second = (Prepared(network(), parse_mode("fp16-weights/graph"), CPU) for _ in range(2))
    images = first.place(IMAGES)
    expected = first(images).clone()
    second(images)
    cuda.clear_workspaces()
    assert torch.equal(first(images), expected)
    assert second(images).shape == expected.shape
    assert not cuda.workspaces  # of a graph's memory none is left to others


@pytest.mark.parametrize("mode", ["fp32/graph", "fp32/channels_last/graph/folded", "fp16-weights/graph"])
def test_logits_that_were_handed_out_are_the_callers_own(cuda: PlayedCuda, mode: str) -> None:
    deployed = deploy(network(), IMAGES, parse_mode(mode))
    first = deployed(IMAGES)
    kept = first.clone()
    other = deployed(IMAGES.flip(0))
    torch.testing.assert_close(first, kept, rtol=0, atol=0)
    torch.testing.assert_close(other.flip(0), first, rtol=0.05, atol=0.05)
    assert not torch.equal(other, first)


class Asking(nn.Module):
    """Writes down what inductor asks torch while it compiles, and what decides of a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, object] = {}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        backends: Any = torch.backends
        self.answers |= {
            "matmul": torch.get_float32_matmul_precision(),
            "matmul, newer": backends.cuda.matmul.fp32_precision,
            "conv": backends.cudnn.allow_tf32,
            "conv, newer": backends.cudnn.conv.fp32_precision,
            "search": backends.cudnn.benchmark,
        }
        return images.flatten(1)


def answers_in(mode: str, *, kernel_search: bool = True) -> dict[str, object]:
    prepared = Prepared(Asking(), parse_mode(mode), CPU, kernel_search=kernel_search)
    prepared.device = torch.device("cuda", 0)
    prepared(IMAGES)
    answers: dict[str, object] = prepared.module.answers  # type: ignore[assignment]  # of `Asking`
    return answers


def test_precisions_are_set_so_that_inductor_can_ask_for_them(cuda: PlayedCuda) -> None:
    exact, rounded = answers_in("fp32"), answers_in("tf32", kernel_search=False)
    assert (exact["matmul"], exact["conv"], exact["search"]) == ("highest", False, True)
    assert exact["conv, newer"] != "tf32" != exact["matmul, newer"]
    assert (rounded["matmul"], rounded["conv"], rounded["search"]) == ("high", True, False)
    assert rounded["conv, newer"] == rounded["matmul, newer"] == "tf32"


def test_torchs_own_precision_is_a_mode(cuda: PlayedCuda) -> None:
    asking = Asking()
    asking(IMAGES)  # nobody has set anything up
    usual = ("matmul", "conv", "conv, newer")
    found = answers_in("tf32conv")
    assert [found[name] for name in usual] == [asking.answers[name] for name in usual]


@pytest.mark.parametrize("mixed", [False, True])
def test_precisions_of_the_process_are_put_back(cuda: PlayedCuda, mixed: bool) -> None:
    backends: Any = torch.backends
    usual = preparing._read_precisions(backends)
    try:
        if mixed:  # the newer names alone: torch then refuses to answer by the older ones
            backends.cuda.matmul.fp32_precision = "tf32"
            backends.cudnn.conv.fp32_precision = "ieee"
        before = preparing._read_precisions(backends)
        for mode in ("fp32", "tf32", "fp16-weights"):
            answers_in(mode)
        assert preparing._read_precisions(backends) == before
    finally:
        preparing._write_precisions(backends, usual)


def test_any_number_of_networks_is_compiled_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_with = torch.compile

    def with_a_quick_backend(model: nn.Module, *, mode: str, **options: Any) -> Any:
        return compile_with(model, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", with_a_quick_backend)
    monkeypatch.setattr(preparing, "unsupported_reason", lambda mode, device: None)
    kept = []
    for width in range(2, 12):
        model = build_model("small_cnn", input_shape=(3, 8, 8), num_classes=10, width=width)
        kept.append(Prepared(model, parse_mode("fp32/compile"), CPU))
        assert kept[-1](IMAGES).shape == (4, 10)
    torch._dynamo.reset()


def test_what_a_compiler_stumbles_over_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Outer(RuntimeError):
        inner_exception = KeyError("no such kernel")

    def failing(images: torch.Tensor) -> torch.Tensor:
        raise Outer("backend='inductor' raised:\n...")

    monkeypatch.setattr(torch, "compile", lambda model, **options: failing)
    monkeypatch.setattr(preparing, "unsupported_reason", lambda mode, device: None)
    with pytest.raises(NotCompiledError) as found:
        Prepared(network(), parse_mode("fp32/compile"), CPU)(IMAGES)
    assert found.value.reason == "the model cannot be compiled: KeyError: 'no such kernel'"
    assert "mode fp32/nchw/compile on cpu" in str(found.value)
    travelled = pickle.loads(pickle.dumps(found.value))
    assert (str(travelled), travelled.reason) == (str(found.value), found.value.reason)


@pytest.mark.parametrize("mode", ["fp32", "bf16-autocast"])
def test_a_callers_autocast_is_no_part_of_a_mode(mode: str) -> None:
    model = build_model("small_cnn", input_shape=(3, 8, 8), num_classes=10)
    prepared = Prepared(model, parse_mode(mode), CPU)
    expected = prepared(IMAGES)
    with torch.autocast("cpu", torch.float16):
        found = prepared(IMAGES)
        assert torch.get_autocast_dtype("cpu") is torch.float16
        assert torch.is_autocast_enabled("cpu")
    assert found.dtype is expected.dtype
    assert torch.equal(found, expected)
