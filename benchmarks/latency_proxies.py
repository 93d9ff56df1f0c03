"""Which count follows latency: MACs, convolution outputs, bytes or kernels, over random networks.

Draws MobileNets (width, expansion and depth of each stage) and ResNets (width), times each interleaved with
others in a plain and in a tuned mode, and prints Spearman's rank correlation of time with each count, over
all networks and within each family; then a predictor from all counts with the error on networks that it did
not see. Rows go to the table `latencies` of a store. Run with
``python -m benchmarks.latency_proxies [--networks 120] [--batch-size 32] [--store FOLDER] [--output FILE]``.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Sequence
from typing import Any

from benchmarks.comparing import describe_conditions, write_result
from eml_models.latency.campaign import Campaign, CampaignResult, run_campaign
from eml_models.latency.modes import parse_mode
from eml_models.latency.networks import NetworkSpec
from eml_models.latency.predictor import FEATURES, LatencyPredictor, fit_predictor, rank_correlation

SEED = 7
MODES = ("fp32/nchw/eager", "fp32/channels_last/eager/folded")
GROUP = 12
"""Networks that are timed interleaved; a worker holds no more."""

RESNET_WIDTHS = range(6, 66)
RESNET_SHARE = 0.4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=120)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--store")
    parser.add_argument("--output")
    words = parser.parse_args()
    networks = draw_networks(words.networks)
    records: list[dict[str, Any]] = []
    for start in range(0, len(networks), GROUP):
        result = measure(networks[start : start + GROUP], words.batch_size, words.device)
        records += list(records_of(result))
        if words.store:
            keep(result, words.store)
        print(f"{len(records) // len(MODES)} of {len(networks)} networks", flush=True)
    correlations = {mode: correlate([r for r in records if r["mode"] == mode]) for mode in MODES}
    predictors = {mode: fit([r for r in records if r["mode"] == mode]) for mode in MODES}
    conditions = f"{describe_conditions()}, load average {os.getloadavg()[0]:.1f}"
    print(f"{conditions}; one thread, batch {words.batch_size}, times are processor time")
    for mode in MODES:
        print(mode)
        for group, values in correlations[mode].items():
            print(f"  {group:10}", *(f"{name} {value:.2f}" for name, value in values.items()))
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


def measure(networks: Sequence[NetworkSpec], batch_size: int, device: str) -> CampaignResult:
    """Both modes of some networks, interleaved."""
    return run_campaign(
        Campaign(
            networks=tuple(networks),
            modes=tuple(map(parse_mode, MODES)),
            batch_sizes=(batch_size,),
            device=device,
            explain=False,
            rounds=3,
            seconds=0.1,
        )
    )


def records_of(result: CampaignResult) -> list[dict[str, Any]]:
    """A record a network and mode, both under the allocator that keeps memory."""
    records = []
    for timed in result.table:
        network = timed.case.network
        if timed == result.before(network.name, timed.case.batch_size):
            continue
        plan = network.plan()
        records.append(
            {
                "network": network.name,
                "family": network.model,
                "mode": str(timed.case.mode),
                "macs": plan.macs,
                "activations": plan.activations,
                "traffic_bytes": plan.traffic_bytes(),
                "kernels": result.counts[network.name].kernels,
                "median_ms": timed.measurement.median_ms,
                "spread": round(timed.measurement.spread, 3),
                "n": timed.measurement.n,
            }
        )
    return records


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


def keep(result: CampaignResult, store: str) -> None:
    """Add the rows to a store, as the command ``latency`` does."""
    from tune_jobs.latency_commands import Asked, rows_of
    from tune_jobs.store.latencies import append_latencies

    append_latencies(store, rows_of(result, [Asked(network=n) for n in result.campaign.networks]))


if __name__ == "__main__":
    main()
