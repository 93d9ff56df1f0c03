"""What a campaign of latency measurements asks for and finds. Values only; `investigation` runs it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from eml_models.errors import raise_if_any
from eml_models.latency.bench.cases import Allocator, Case, Source, Variant, usual_search
from eml_models.latency.bench.ending import End
from eml_models.latency.bench.worker_process import PROGRAM, WorkerProgram
from eml_models.latency.counting.operators import OperatorCounts
from eml_models.latency.counting.roofline import Ceilings
from eml_models.latency.explaining.verdicts import Verdict
from eml_models.latency.explaining.waterfall import Waterfall
from eml_models.latency.measuring.modes import Mode, untouched_mode
from eml_models.latency.measuring.timing import Measurement
from eml_models.networks.words import NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What is to be measured.

    Attributes:
        modes: of the table.
        explain: whether the waterfalls and verdicts are wanted, at the largest batch size.
        compiles: whether a chain continues to its compiled stage, which takes longer than all before it.
        rounds, seconds: every case is timed so often for so long, at least.
        threads: of a CPU.
        max_minutes: after which it ends with what was measured; None for as long as it takes.
        program: what the measuring processes run; another one where a family is not a shipped one.
    """

    networks: tuple[NetworkSpec, ...]
    modes: tuple[Mode, ...]
    batch_sizes: tuple[int, ...]
    device: str = "cpu"
    explain: bool = True
    compiles: bool = True
    rounds: int = 4
    seconds: float = 0.25
    threads: int = 1
    max_minutes: float | None = None
    program: WorkerProgram = PROGRAM

    def __post_init__(self) -> None:
        problems = [f"a batch size must be at least 1, got {n}" for n in self.batch_sizes if n < 1]
        names = [network.name for network in self.networks]
        problems += [
            f"network {name!r} is named twice" for name in sorted(set(names)) if names.count(name) > 1
        ]
        if not self.networks or not self.modes or not self.batch_sizes:
            problems.append("at least one network, one mode and one batch size are needed")
        inputs = dict.fromkeys(network.shown_input for network in self.networks)
        if len(inputs) > 1:
            problems.append(f"times compare on one input, got networks on images of {', '.join(inputs)}")
        if self.rounds < 1 or not self.seconds > 0 or self.threads < 1:
            problems.append("rounds, seconds and threads must be positive")
        if self.max_minutes is not None and not 0 < self.max_minutes < math.inf:
            problems.append(
                f"max_minutes must be above 0, got {self.max_minutes:g}; leave it out to measure everything"
            )
        raise_if_any("latency", problems)

    @property
    def on_cuda(self) -> bool:
        return self.kind == "cuda"

    @property
    def kind(self) -> str:
        """The kind of the device: ``cpu`` or ``cuda``."""
        return self.device.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A case and what was measured of it."""

    case: Case
    measurement: Measurement

    @property
    def is_complete(self) -> bool:
        """Whether it is of the batch that was asked for; times of a smaller one compare with nothing."""
        return self.measurement.batch_size == self.measurement.requested_batch_size


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignResult:
    """What a campaign found.

    Attributes:
        timed: everything.
        skipped: cases that the device does not have, that failed, or that the end came before, with the
            reason.
        lacking: keys of those that the device does not have.
        notes: what could not be explained, and why.
        end: what ended it; `FINISHED` while it is under way.
    """

    campaign: Campaign
    timed: tuple[Timed, ...]
    skipped: tuple[tuple[Case, str], ...]
    counts: Mapping[str, OperatorCounts] = field(hash=False)
    ceilings: Ceilings | None
    waterfalls: tuple[Waterfall, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    lacking: frozenset[str] = frozenset()
    end: End = End.FINISHED

    def with_explanation(
        self, waterfalls: tuple[Waterfall, ...], verdicts: tuple[Verdict, ...], notes: tuple[str, ...]
    ) -> CampaignResult:
        """The same, explained."""
        return replace(self, waterfalls=waterfalls, verdicts=verdicts, notes=notes)

    @property
    def untimed(self) -> tuple[tuple[Case, str], ...]:
        """Those of the table that the device has and that never were timed, with the reason."""
        return tuple(
            (case, reason) for case, reason in self.skipped if is_usual(case) and case.key not in self.lacking
        )

    @property
    def table(self) -> tuple[Timed, ...]:
        """Whole networks on a batch that is there: those that can be compared and used."""
        return tuple(timed for timed in self.timed if is_usual(timed.case))

    def before(self, network: str, batch_size: int) -> Timed | None:
        """The plain network as torch runs it by default: torch's own precision, NCHW, eager.

        None where it could not be timed over the batch.
        """
        found = self._of(network, batch_size)
        return next((timed for timed in found if _is_before(timed.case, self.campaign)), None)

    def fastest(self, network: str, batch_size: int) -> Timed | None:
        """The quickest of a network's modes; None where none could be timed over the batch."""
        found = self._of(network, batch_size)
        return min(found, key=lambda timed: timed.measurement.median_ms, default=None)

    def speed_up(self, timed: Timed) -> float | None:
        """How many times faster it is than `before`; None where one of them is not of the batch."""
        before = self.before(timed.case.network.name, timed.case.batch_size)
        if before is None or not timed.is_complete:
            return None
        return before.measurement.median_ms / timed.measurement.median_ms

    def gain(self, get: Callable[[str, int], Timed | None], network: str, batch_size: int) -> float | None:
        """How many times faster a network is than the reference, by `before` or `fastest` of both."""
        reference, own = get(self.reference, batch_size), get(network, batch_size)
        if reference is None or own is None:
            return None
        return reference.measurement.median_ms / own.measurement.median_ms

    @property
    def reference(self) -> str:
        """The network with the most MACs, which the others are meant to beat."""
        return max(self.counts, key=lambda name: self.counts[name].macs)

    def _of(self, network: str, batch_size: int) -> Iterator[Timed]:
        return (
            timed
            for timed in self.table
            if timed.case.network.name == network
            and timed.case.batch_size == batch_size
            and timed.is_complete
        )


def before_case(network: NetworkSpec, batch_size: int, campaign: Campaign) -> Case:
    """The case of `CampaignResult.before`."""
    return Case(
        network=network,
        mode=untouched_mode(campaign.kind),
        batch_size=batch_size,
        allocator=Allocator.DEFAULT,
        kernel_search=usual_search(campaign.device),
    )


def is_usual(case: Case) -> bool:
    """Whether a case is of a whole network on a batch that is there."""
    return case.variant is Variant.WHOLE and case.source is Source.CACHED


def _is_before(case: Case, campaign: Campaign) -> bool:
    return case == before_case(case.network, case.batch_size, campaign)
