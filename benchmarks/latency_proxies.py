"""Which count follows latency: MACs, convolution outputs, bytes or kernels, over random networks.

Draws MobileNets (width, expansion and depth of each stage) and ResNets (width), times each in a plain and in
a tuned mode, and prints Spearman's rank correlation of time with each count, over all networks and within
each family; then a predictor from all counts with the error on networks that it did not see. One thread, by
its processor time; the process starts itself again so that glibc keeps freed memory. Run with
``python -m benchmarks.latency_proxies [--networks 120] [--batch-size 8] [--output FILE]``.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from benchmarks.comparing import describe_conditions, write_result
from eml_models.latency.measuring.conditions import DEFAULT_ALLOCATOR, KEEPING_MEMORY, describe_allocator
from eml_models.latency.measuring.modes import parse_mode
from eml_models.latency.measuring.timing import measure_latency
from eml_models.latency.predictor import FEATURES, LatencyPredictor, fit_predictor, rank_correlation
from eml_models.networks.plan import LayerKind
from eml_models.networks.registry import build_model
from eml_models.networks.words import NetworkSpec

SEED = 7
MODES = ("fp32/nchw/eager", "fp32/channels_last/eager/folded")
SECONDS = 0.1
RESNET_WIDTHS = range(6, 66)
RESNET_SHARE = 0.4
UNLAUNCHED = (LayerKind.FLATTEN, LayerKind.DROPOUT)


def main() -> None:
    """Measure and print."""
    if describe_allocator(os.environ) == DEFAULT_ALLOCATOR:
        os.execve(sys.executable, [*sys.orig_argv], {**os.environ, **KEEPING_MEMORY})
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=120)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output")
    words = parser.parse_args()
    torch.set_num_threads(1)
    records: list[dict[str, Any]] = []
    for number, network in enumerate(draw_networks(words.networks), start=1):
        records += measure(network, words.batch_size, words.device)
        if number % 10 == 0:
            print(f"{number} of {words.networks} networks", flush=True)
    correlations = {mode: correlate([r for r in records if r["mode"] == mode]) for mode in MODES}
    predictors = {mode: fit([r for r in records if r["mode"] == mode]) for mode in MODES}
    conditions = f"{describe_conditions()}, load average {os.getloadavg()[0]:.1f}"
    how = "one thread" if words.device == "cpu" else f"on {words.device}"
    print(f"{conditions}; {how}, batch {words.batch_size}")
    for mode in MODES:
        print(mode)
        for group, values in correlations[mode].items():
            print(f"  {group:16}", *(f"{name} {value:.2f}" for name, value in values.items()))
        print(f"  predictor {predictors[mode].describe()}")
    write_result(
        words.output,
        {
            "conditions": conditions,
            "batch_size": words.batch_size,
            "spearman": correlations,
            "predictors": {mode: predictors[mode].describe() for mode in MODES},
            "networks": records,
        },
    )


def draw_networks(count: int) -> list[NetworkSpec]:
    """Random networks of both families, each once."""
    generator = random.Random(SEED)
    widths = generator.sample(list(RESNET_WIDTHS), min(round(count * RESNET_SHARE), len(RESNET_WIDTHS)))
    drawn = [NetworkSpec(name=f"resnet-{w}", model="resnet18", options={"width": w}) for w in widths]
    for number in range(count - len(drawn)):
        options = {
            "width_mult": round(generator.uniform(0.25, 1.4), 3),
            "widths": [round(generator.uniform(0.5, 1.5), 2) for _ in range(7)],
            "expansions": [1.0, *(round(generator.uniform(1.5, 8.0), 1) for _ in range(6))],
            "depths": [generator.randint(1, 4) for _ in range(7)],
        }
        drawn.append(NetworkSpec(name=f"mobilenet-{number}", model="mobilenet", options=options))
    generator.shuffle(drawn)
    return drawn


def measure(network: NetworkSpec, batch_size: int, device: str) -> Iterator[dict[str, Any]]:
    """A record for each mode of a network."""
    plan = network.plan()
    model, images = build_model(plan), torch.rand(batch_size, *network.input_shape)
    for mode in MODES:
        timed = measure_latency(model, images, parse_mode(mode), device=device, seconds=SECONDS)
        yield {
            "network": network.name,
            "family": network.model,
            "mode": mode,
            "macs": plan.macs,
            "activations": plan.activations,
            "traffic_bytes": plan.traffic_bytes(),
            "kernels": sum(layer.kind not in UNLAUNCHED for layer in plan.layers),
            "median_ms": timed.median_ms,
            "spread": round(timed.spread, 3),
            "n": timed.n,
        }


def correlate(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Spearman of time with each count, over all and within each family."""
    groups = {"all": list(records)}
    for family in sorted({record["family"] for record in records}):
        groups[family] = [record for record in records if record["family"] == family]
    return {
        f"{group} ({len(own)})": {
            name: rank_correlation([r[name] for r in own], [r["median_ms"] for r in own]) for name in FEATURES
        }
        for group, own in groups.items()
    }


def fit(records: Sequence[dict[str, Any]]) -> LatencyPredictor:
    """A predictor of one mode."""
    return fit_predictor(records, [record["median_ms"] for record in records])


if __name__ == "__main__":
    main()
