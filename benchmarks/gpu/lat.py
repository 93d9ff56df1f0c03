"""The lab report's question on a GPU: why fewer MACs were not faster, network by network, in minutes.

``python benchmarks/gpu/lat.py [cuda|cpu] [MINUTES]``: first ResNet-18 and a MobileNet of 29 M MACs at batches
of 1 and 128, with waterfalls and verdicts; then one of 133 M; then the first two again, now to the compiled
stage. All is printed as it comes: what was timed, after each round one JSON line with all medians, then the
shares. After MINUTES (default: 2.3) or a SIGTERM it ends in order with what there is. On the device ``cpu``
it runs in small, to see that it still works. It needs `eml_models` alone.
"""

from __future__ import annotations

import itertools
import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from eml_models.errors import WorkerLostError
from eml_models.latency.bench.ending import End
from eml_models.latency.explaining.campaign import Campaign, CampaignResult
from eml_models.latency.explaining.investigation import run_campaign
from eml_models.latency.measuring.modes import parse_mode
from eml_models.networks.words import parse_network

MINUTES = 2.3
LEAST_MINUTES = 0.1
"""Left, for another part to be begun."""

MODES = (
    "fp32/nchw/eager",
    "fp16-autocast/nchw/eager",
    "fp16-weights/nchw/eager",
    "fp16-weights/channels_last/graph",
    "fp16-weights/channels_last/graph/folded",
)
ON_CUDA = Campaign(
    networks=tuple(map(parse_network, ("resnet18", "mobilenet-30m"))),
    modes=tuple(map(parse_mode, MODES)),
    batch_sizes=(1, 128),
    device="cuda",
    compiles=False,
    rounds=3,
    seconds=0.1,
)
ON_CPU = replace(
    ON_CUDA,
    networks=tuple(map(parse_network, ("resnet18:width=4", "mobilenet:width_mult=0.1,head_channels=8"))),
    modes=(parse_mode("fp32"),),
    batch_sizes=(1, 2),
    device="cpu",
    rounds=1,
    seconds=0.01,
)


@dataclass(slots=True)
class Watch:
    """The time since the script began, and whether it was asked to end."""

    began: float
    minutes: float
    interrupted: bool = False

    @property
    def took_s(self) -> float:
        return time.perf_counter() - self.began

    @property
    def left_minutes(self) -> float:
        return self.minutes - self.took_s / 60

    def say(self, text: str) -> None:
        print(f"{self.took_s:6.1f} s {text}", flush=True)


def main() -> None:
    """Measure the parts, one after the other."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else MINUTES
    watch = Watch(began=time.perf_counter(), minutes=minutes)

    def interrupt(*ignored: object) -> None:
        watch.interrupted = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    for name, campaign in parts(device).items():
        if watch.interrupted or watch.left_minutes < LEAST_MINUTES:
            watch.say(f"not begun: {name}")
            continue
        watch.say(f"== {name}")
        measure(name, replace(campaign, max_minutes=watch.left_minutes), watch)


def parts(device: str) -> dict[str, Campaign]:
    """What is measured, in the order of its value."""
    if device == "cpu":
        return {"two networks": ON_CPU}
    third = replace(ON_CUDA, networks=(parse_network("mobilenet-130m"),))
    compiled = replace(ON_CUDA, modes=(parse_mode("fp16-weights/nchw/eager"),), compiles=True, rounds=2)
    return {"two networks": ON_CUDA, "a third": third, "two networks, compiled": compiled}


def measure(name: str, campaign: Campaign, watch: Watch) -> None:
    """Run one part and print its result; a part that fails leaves the others their time."""
    rounds = itertools.count(1)

    def report_round(result: CampaignResult) -> None:
        ms = {one.case.key: round(one.measurement.median_ms, 5) for one in result.timed}
        watch.say(json.dumps({"part": name, "round": next(rounds), "median_ms": ms}))

    try:
        result = run_campaign(
            campaign, on_progress=watch.say, on_round=report_round, interrupted=lambda: watch.interrupted
        )
    except WorkerLostError as error:
        watch.say(f"{name}: {error}")
        return
    tell(result, watch.say)


def tell(result: CampaignResult, say: Callable[[str], None]) -> None:
    """Everything that a part found."""
    for one in result.timed:
        ms = one.measurement
        say(f"{ms.median_ms:9.4f} ms ({ms.q1_ms:.4f}..{ms.q3_ms:.4f}, n {ms.n}) {one.case.key}")
    for case, reason in result.skipped:
        say(f"not timed: {case.key}: {reason}")
    for waterfall in result.waterfalls:
        say(f"waterfall of {waterfall.network}, batch {waterfall.batch_size}: {waterfall.total_ms:.3f} ms")
        for share in waterfall.shares:
            part = share.ms / waterfall.total_ms
            say(f"  {share.ms:8.3f} ms {part:6.1%} {share.hypothesis.value} {share.kind.value}: {share.name}")
        for stage, reason in waterfall.untestable:
            say(f"  not testable: {stage}: {reason}")
    for verdict in result.verdicts:
        say(f"({verdict.hypothesis.value}) {verdict.title}: {verdict.outcome.value}")
        for sentence in verdict.evidence:
            say(f"  {sentence}")
    for note in result.notes:
        say(f"note: {note}")
    say(f"{result.ceilings}, torch {torch_version(result)}")
    say(f"ended: {result.end.value}" if result.end is not End.FINISHED else "finished")


def torch_version(result: CampaignResult) -> str:
    """The version of torch in the processes that measured, with the device's name."""
    found = {f"{one.measurement.conditions.torch_version} on {one.measurement.conditions.device_name}"
             for one in result.timed}  # fmt: skip
    return ", ".join(sorted(found)) or "unknown"


if __name__ == "__main__":
    main()
