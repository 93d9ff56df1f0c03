"""What deploying is worth: four networks before and after, and how much of the MACs' promise is realised.

ResNet-18, a ResNet-18 narrowed to 35 M MACs, and MobileNets of 133 M and 29 M MACs, on 32 px images. Before:
fp32, NCHW, eager, with glibc's default allocator. After: the fastest of the deployed forms (folded,
channels_last, in fp32 or bf16, eager or compiled), and onnxruntime where the extra is installed. All timed
interleaved, by the processor time of one thread. Run with
``python -m benchmarks.latency [--batch-sizes 1,32] [--modes MODE,...] [--output FILE]``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.comparing import describe_conditions, write_result
from eml_models.errors import DeployError
from eml_models.latency.deploy import deploy, save_onnx
from eml_models.latency.explaining.campaign import Campaign
from eml_models.latency.explaining.investigation import run_campaign
from eml_models.latency.measuring.modes import parse_mode
from eml_models.latency.measuring.timing import quartiles, time_calls, warm_up
from eml_models.networks.registry import build_model
from eml_models.networks.words import NetworkSpec, parse_network
from eml_models.training.exporting import load_onnx

NETWORKS = ("resnet18", "resnet18-35m", "mobilenet-130m", "mobilenet-30m")
MODES = (
    "fp32/channels_last/eager/folded",
    "bf16-weights/channels_last/eager/folded",
    "bf16-weights/channels_last/compile/folded",
)
ONNX = "onnxruntime, fp32"
SECONDS = 1.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-sizes", default="1,32")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output")
    words = parser.parse_args()
    batch_sizes = tuple(map(int, words.batch_sizes.split(",")))
    result = run_campaign(
        Campaign(
            networks=tuple(map(parse_network, NETWORKS)),
            modes=tuple(map(parse_mode, words.modes.split(","))),
            batch_sizes=batch_sizes,
            device=words.device,
            explain=False,
        ),
        on_progress=lambda text: print(text, flush=True),
    )
    conditions = f"{describe_conditions()}, load average {os.getloadavg()[0]:.1f}"
    rows = []
    for batch_size in batch_sizes:
        for name in NETWORKS:
            times = {
                str(timed.case.mode): timed.measurement.median_ms
                for timed in result.table
                if timed.case.network.name == name and timed.case.batch_size == batch_size
                if timed.is_complete and timed != result.before(name, batch_size)
            }
            if words.device == "cpu":
                times |= measure_onnx(parse_network(name), batch_size)
            plain = result.before(name, batch_size)
            if plain is None or not times:
                sys.exit(f"a batch of {batch_size} of {name} could not be timed; give smaller --batch-sizes")
            before = plain.measurement
            rows.append(
                {
                    "network": name,
                    "macs": parse_network(name).plan().macs,
                    "batch_size": batch_size,
                    "before_ms": before.median_ms,
                    "before_quartiles_ms": [before.q1_ms, before.q3_ms],
                    "after_ms": times,
                }
            )
    how = "one thread, medians of processor time" if words.device == "cpu" else "medians of CUDA's events"
    print(f"{conditions}; {how}")
    for row in rows:
        print(describe(row, rows))
    write_result(words.output, {"conditions": conditions, "rows": rows})


def describe(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """A network before and after, and the share of the speed-up over ResNet-18 that MACs promise."""
    reference = next(r for r in rows if r["network"] == "resnet18" and r["batch_size"] == row["batch_size"])
    fastest = min(row["after_ms"], key=row["after_ms"].__getitem__)
    after = row["after_ms"][fastest]
    promised = reference["macs"] / row["macs"]
    gains = (
        reference["before_ms"] / row["before_ms"],
        min(reference["after_ms"].values()) / after,
    )
    shares = ", ".join(f"{gain:.1f}x ({gain / promised:.0%})" for gain in gains)
    return (
        f"{row['network']:15} batch {row['batch_size']:3}: before {row['before_ms']:8.2f} ms, after"
        f" {after:7.2f} ms ({row['before_ms'] / after:.1f}x, {fastest}); of {promised:.1f}x by MACs: {shares}"
    )


def measure_onnx(network: NetworkSpec, batch_size: int) -> dict[str, float]:
    """Milliseconds in onnxruntime with one thread; nothing where the extra is not installed."""
    torch.set_num_threads(1)
    images = torch.rand(batch_size, *network.input_shape)
    deployed = deploy(build_model(network.plan()), images, parse_mode("fp32/nchw/eager/folded"))
    with tempfile.TemporaryDirectory() as folder:
        try:
            save_onnx(deployed, Path(folder) / "network.onnx")
        except DeployError as error:
            print(f"skipped: {ONNX}: {error}")
            return {}
        run = load_onnx(Path(folder) / "network.onnx")
    device = torch.device("cpu")
    warm_up(lambda: run(images), device)
    _, median, _ = quartiles(time_calls(lambda: run(images), device, seconds=SECONDS))
    return {ONNX: median * 1e3}


if __name__ == "__main__":
    main()
