"""What a training step takes on a GPU: host, kernels, the card's own time, and the step as one CUDA graph.

``python benchmarks/gpu/train.py [cuda|cpu] [PART ...]``: one JSON line a part, as soon as it is measured; the
names of the parts are in `PARTS`, the default is all. On the device ``cpu`` a part runs in small up to its
first CUDA call, to see that it still works. It needs `eml_models` alone.

Each part trains synthetic images by the shipped `Fit`. The first epoch is that of a fresh process only for
the first part; the later parts find CUDA's libraries loaded.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from eml_models import DatasetSpec, RawDataset, Recipe, fit, register_dataset
from eml_models.training.device_state import synchronize
from eml_models.training.step_graph import STEPS_BEFORE_REPLAYS
from eml_models.training.step_load import measure_step_load

WARM_UP = 5
STEPS = 40
PROFILED = 5
CAPTURE_WARM_UP = 4
NUM_IMAGES = {"cuda": 25_600, "cpu": 256}
SIDE_BY_SIDE_ROUNDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One network and batch; `together` is the number of trainings whose graphs are replayed side by side."""

    model: str
    batch_size: int
    precision: str
    dataset: str = "synthetic_colour"
    augmentation: str = "crop_flip"
    options: dict[str, float] = field(default_factory=dict)
    together: int = 1

    def recipe(self) -> Recipe:
        return Recipe(
            model=self.model,
            model_options=self.options,
            dataset=self.dataset,
            batch_size=self.batch_size,
            precision=self.precision,
            learning_rate=0.01,
            epochs=3,
            augmentation=self.augmentation,
        )


def mobile(batch_size: int, precision: str, **more: Any) -> Part:
    """29 M MACs at 32 px."""
    options = {"width_mult": 0.525}
    return Part(model="mobilenet", options=options, batch_size=batch_size, precision=precision, **more)


def resnet(batch_size: int, precision: str, **more: Any) -> Part:
    """555 M MACs at 32 px."""
    return Part(model="resnet18", batch_size=batch_size, precision=precision, **more)


def small(batch_size: int, precision: str, **more: Any) -> Part:
    """A small CNN on images of MNIST's size."""
    kind = {"dataset": "synthetic_grey", "augmentation": "crop"}
    return Part(model="small_cnn", batch_size=batch_size, precision=precision, **kind, **more)


PARTS = {
    "mobile128": mobile(128, "fp32"),
    "resnet128": resnet(128, "fp32"),
    "small128": small(128, "fp32"),
    "mobile128bf16": mobile(128, "bf16"),
    "resnet128bf16": resnet(128, "bf16"),
    "mobile512bf16": mobile(512, "bf16"),
    "resnet512bf16": resnet(512, "bf16"),
    "mobile512": mobile(512, "fp32"),
    "small512bf16": small(512, "bf16"),
    "mobile4": mobile(128, "fp32", together=4),
    "small8": small(128, "fp32", together=8),
    "resnet2": resnet(512, "bf16", together=2),
    "resnet512fp16": resnet(512, "fp16"),  # last: a capture that fails leaves a process in disorder
}


def register_synthetic(device: str) -> None:
    """Data sets of random images, of CIFAR-10's shape and of MNIST's."""
    count = NUM_IMAGES[device]
    labels = np.arange(count) % 10
    for name, shape in (("synthetic_colour", (3, 32, 32)), ("synthetic_grey", (1, 28, 28))):
        images = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
        raw = RawDataset(
            train_images=images, train_labels=labels, test_images=images[:64], test_labels=labels[:64]
        )
        register_dataset(
            DatasetSpec(name=name, input_shape=shape, num_classes=10, read=lambda *_, raw=raw: raw)
        )


def measure(part: Part, device: str) -> dict[str, Any]:
    """Epochs, a step and its kernels, eager and as a graph; on a CPU the epochs and a step alone."""
    training = fit(part.recipe(), device=device, execution="eager")
    epochs_s = [time_epoch(training) for _ in range(2)]
    known: dict[str, Any] = {"first_step_s": training.first_step_s, "epochs_s": epochs_s}
    played = fit(part.recipe(), device=device)
    known |= {"graph_epochs_s": [time_epoch(played) for _ in range(2)], "execution": played.execution}
    known["eager_because"] = played.eager_because
    with training.tried() as (step, _):
        known |= time_step(step, training.device)
        if device != "cuda":
            return known
        known |= profile(step, training.device)
        known["busy"] = known["device_ms"] / known["step_ms"]
    with played.tried() as (step, _):
        for _ in range(STEPS_BEFORE_REPLAYS):
            step()
        known["graph_ms"] = time_step(step, played.device)["step_ms"]
        known["gain"] = known["step_ms"] / known["graph_ms"]
    known["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    load = measure_step_load(part.recipe(), device=device)
    known["load"] = {
        "peak_gb": load.peak_bytes / 1e9,
        "beside_gb": load.beside_bytes / 1e9,  # with what this process holds in graphs
        "busy": load.busy,
    }
    return known


def time_epoch(training: Any) -> float:
    """Seconds of the next epoch, with its validation."""
    began = time.perf_counter()
    next(training)
    synchronize(training.device)
    return time.perf_counter() - began


def time_step(step: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Milliseconds of a step among others, and of those in which the host enqueues it."""
    few = device.type == "cpu"
    for _ in range(0 if few else WARM_UP):
        step()
    synchronize(device)
    count = 1 if few else STEPS
    began = time.perf_counter()
    for _ in range(count):
        step()
    host_s = time.perf_counter() - began
    synchronize(device)
    whole_s = time.perf_counter() - began
    return {"host_ms": 1e3 * host_s / count, "step_ms": 1e3 * whole_s / count}


def profile(step: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Kernels of a step, and the milliseconds that the card computes them."""
    kinds = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=kinds) as profiler:
        for _ in range(PROFILED):
            step()
        synchronize(device)
    events = [e for e in profiler.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    computed_us = sum(event.self_device_time_total for event in events)
    return {"kernels": len(events) / PROFILED, "device_ms": computed_us / PROFILED / 1e3}


def capture(step: Callable[[], object]) -> tuple[torch.cuda.CUDAGraph, torch.cuda.Stream]:
    """The step as a graph, captured on a stream of its own after some steps there."""
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream):
        for _ in range(CAPTURE_WARM_UP):
            step()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph, stream=stream):
        step()
    return graph, stream


def measure_together(part: Part, device: str) -> dict[str, Any]:
    """Steps a second of one training, of two, ... of all, each a graph on a stream of its own."""
    trainings = [fit(part.recipe(), device=device, execution="eager") for _ in range(part.together)]
    steps = []
    for training in trainings:
        entered = training.tried()
        steps.append(entered.__enter__()[0])
    for step in steps:
        step()
    if device != "cuda":
        return {}
    graphs = [capture(step) for step in steps]
    rates = {}
    for count in sorted({1, 2, part.together}):
        step_ms = time_step(lambda count=count: replay(graphs[:count]), trainings[0].device)["step_ms"]
        rates[str(count)] = 1e3 * count / step_ms
    return {"steps_per_s": rates}


def replay(graphs: list[tuple[torch.cuda.CUDAGraph, torch.cuda.Stream]]) -> None:
    for graph, stream in graphs:
        with torch.cuda.stream(stream):
            graph.replay()


def main() -> None:
    device, *names = sys.argv[1:] or ["cuda"]
    register_synthetic(device)
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    print(json.dumps({"torch": torch.__version__, "cudnn": torch.backends.cudnn.version(), "card": name}))
    for part_name in names or PARTS:
        part, began = PARTS[part_name], time.perf_counter()
        try:
            known = (measure if part.together == 1 else measure_together)(part, device)
        except Exception:  # the other parts are measured all the same
            traceback.print_exc()
            known = {"failed": True}
        known["took_s"] = time.perf_counter() - began
        rounded = {n: _rounded(value) for n, value in known.items()}
        print(json.dumps({"part": part_name, **rounded}), flush=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
