"""One measurement: what it says, what it leaves alone, what it does when memory does not suffice."""

from __future__ import annotations

import statistics
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from latency_testing import CONDITIONS, with_used_norms
from torch import nn

from eml_models.errors import InvalidValueError, UnsupportedModeError
from eml_models.latency.measuring.conditions import KEEPING_MEMORY, describe_allocator
from eml_models.latency.measuring.modes import PLAIN, iter_all_modes, parse_mode, unsupported_reason
from eml_models.latency.measuring.preparing import Prepared, find_capabilities, is_out_of_memory
from eml_models.latency.measuring.timing import (
    fit_into_memory,
    measure_latency,
    quartiles,
    summarise,
    time_calls,
)
from eml_models.networks.registry import build_model

CPU = torch.device("cpu")


def network() -> nn.Module:
    model = build_model("mobilenet", input_shape=(3, 8, 8), num_classes=10, width_mult=0.1)
    return with_used_norms(model)


def test_a_measurement_says_what_it_depends_on() -> None:
    found = measure_latency(network(), torch.rand(2, 3, 8, 8), seconds=0.02)
    assert 0 < found.q1_ms <= found.median_ms <= found.q3_ms
    assert found.n >= 5
    assert (found.batch_size, found.requested_batch_size, found.mode) == (2, 2, PLAIN)
    assert found.conditions.torch_version == torch.__version__
    assert found.conditions.threads == torch.get_num_threads()
    assert found.conditions.allocator


def test_more_work_takes_longer() -> None:
    small, large = (
        build_model("resnet18", input_shape=(3, 32, 32), num_classes=10, width=width) for width in (4, 32)
    )
    images = torch.rand(4, 3, 32, 32)
    assert measure_latency(large, images, seconds=0.05).median_ms > 2 * (
        measure_latency(small, images, seconds=0.05).median_ms
    )


def test_the_model_is_left_as_found() -> None:
    model = network().train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    images, threads, generator = torch.rand(2, 3, 8, 8), torch.get_num_threads(), torch.get_rng_state()
    for mode in ("fp32/channels_last/eager/folded", "bf16-weights", "bf16-autocast"):
        measure_latency(model, images, parse_mode(mode), seconds=0.01)
    assert all(part.training for part in model.modules())
    assert all(weight.requires_grad for weight in model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model.state_dict()["stem.conv.weight"].is_contiguous()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), generator)


@pytest.mark.parametrize(
    "mode",
    [
        mode
        for mode in iter_all_modes()
        if mode.execution == "eager" and not unsupported_reason(mode, find_capabilities(CPU))
    ],
    ids=str,
)
def test_every_eager_mode_computes_the_network(mode: object) -> None:
    model, images = network(), torch.rand(4, 3, 8, 8)
    prepared = Prepared(model, mode, CPU)  # type: ignore[arg-type]  # parametrized
    expected = model.eval()(images)
    found = prepared(prepared.place(images)).float()
    tolerance = {"fp32": 1e-5, "fp16": 0.02, "bf16": 0.1}[prepared.mode.precision]
    assert (found - expected).norm() <= tolerance * expected.norm()


def test_a_mode_that_the_device_lacks_is_refused_with_the_reason() -> None:
    with pytest.raises(UnsupportedModeError, match="CUDA graphs exist on CUDA devices only"):
        measure_latency(network(), torch.rand(1, 3, 8, 8), parse_mode("fp32/graph"))


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "mps", "cpu:0"])
def test_a_device_that_does_not_exist_names_those_that_do(device: str) -> None:
    with pytest.raises(InvalidValueError, match="this machine has cpu"):
        measure_latency(network(), torch.rand(1, 3, 8, 8), device=device)


def failing_above(largest: int, error: Exception) -> Callable[[int], Callable[[], object]]:
    def build(batch_size: int) -> Callable[[], object]:
        def call() -> None:
            if batch_size > largest:
                raise error

        return call

    return build


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        MemoryError(),
        RuntimeError("FIND was unable to find an engine to execute this computation"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_batch_that_does_not_fit_is_halved_and_that_is_said(error: Exception) -> None:
    _, batch_size, notes = fit_into_memory(failing_above(9, error), 64)
    assert batch_size == 8
    assert notes == ("a batch of 64 does not fit into memory: 8",)


def test_a_batch_that_is_too_large_is_freed_before_its_half_is_tried() -> None:
    built: list[weakref.ref[torch.Tensor]] = []

    def build(batch_size: int) -> Callable[[], object]:
        assert not any(reference() is not None for reference in built)
        images = torch.zeros(batch_size)
        built.append(weakref.ref(images))

        def call() -> None:
            if images.shape[0] > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")

        return call

    assert fit_into_memory(build, 16)[1] == 2


def test_an_end_of_a_capture_that_hides_a_lack_of_memory_is_one() -> None:
    hidden = RuntimeError("operation failed due to a previous error during capture")
    hidden.__context__ = torch.OutOfMemoryError("CUDA out of memory")
    assert is_out_of_memory(hidden)
    assert not is_out_of_memory(RuntimeError("shapes do not agree"))


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (3, 8, 8)])
def test_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidValueError, match=r"must be \(N, C, H, W\) with at least one"):
        measure_latency(network(), torch.rand(shape))


def test_images_of_other_channels_are_refused_in_words() -> None:
    with pytest.raises(InvalidValueError, match=r"cannot run on images \(2, 5, 8, 8\): RuntimeError: "):
        measure_latency(network(), torch.rand(2, 5, 8, 8))


def test_settings_are_entered_around_the_timed_calls_not_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[str] = []
    settings = Prepared.settings

    def counting(prepared: Prepared) -> AbstractContextManager[None]:
        entered.append("settings")
        return settings(prepared)

    monkeypatch.setattr(Prepared, "settings", counting)
    assert measure_latency(network(), torch.rand(1, 3, 8, 8), seconds=0.05).n > len(entered) == 2


def test_not_even_one_image_fits() -> None:
    with pytest.raises(InvalidValueError, match="not even a batch of one image"):
        fit_into_memory(failing_above(0, MemoryError()), 4)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        fit_into_memory(failing_above(0, RuntimeError("shapes do not agree")), 4)


def test_slow_calls_are_made_no_more_often_than_they_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    calls = []

    def call() -> None:
        nonlocal now
        now += 10.0
        calls.append(now)

    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr("time.process_time", lambda: now)
    assert time_calls(call, torch.device("cpu"), seconds=0.25, least=3) == [10.0] * 3
    assert len(calls) == 4  # one to find out that they are slow


def test_wide_quartiles_are_said() -> None:
    known = {"mode": PLAIN, "batch_size": 1, "requested_batch_size": 1, "conditions": CONDITIONS}
    quiet = summarise([1.0, 1.01, 1.02, 1.03], **known)
    noisy = summarise([1.0, 1.2, 2.0, 3.0], notes=["halved"], **known)
    assert (quiet.notes, quiet.noise) == ((), None)
    assert quiet.median_ms == pytest.approx(1015)
    assert (noisy.notes, noisy.noise) == (("halved",), "noisy: the quartiles are 69% of the median apart")


def test_quartiles_of_few_values() -> None:
    assert quartiles([3.0]) == (3.0, 3.0, 3.0)
    assert quartiles([1.0, 2.0, 3.0])[1] == statistics.median([1.0, 2.0, 3.0])


def test_the_allocator_is_read_from_the_environment() -> None:
    assert describe_allocator({"PATH": "/bin"}) == "default"
    assert describe_allocator(KEEPING_MEMORY).startswith("MALLOC_MMAP_THRESHOLD_=")
