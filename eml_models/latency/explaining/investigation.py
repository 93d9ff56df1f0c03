"""Runs a campaign: the whole investigation of some networks on one device.

`agenda` says which cases are needed and in which order, `processes` times them interleaved, and the times go
to `evidence` and `verdicts`. The measurements are handed out after each round, and again at the end: after
the last case, when the time is up, or after an interruption. The command ``latency`` and the benchmarks are
thin callers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from eml_models.errors import WorkerLostError
from eml_models.latency.bench.cases import Case
from eml_models.latency.bench.ending import End, EndedError, Ending
from eml_models.latency.bench.processes import Bench, Progress
from eml_models.latency.counting.roofline import Ceilings
from eml_models.latency.explaining.agenda import (
    choose_chains,
    in_order_of_value,
    iter_first_cases,
    list_explaining_cases,
    list_table_cases,
    unique_cases,
)
from eml_models.latency.explaining.campaign import Campaign, CampaignResult, Timed
from eml_models.latency.explaining.evidence import count_network, explain
from eml_models.latency.explaining.verdicts import judge
from eml_models.latency.measuring.conditions import require_device

MAX_OPEN = 96
"""Cases that are open at once: each holds a copy of its network."""

OnRound = Callable[[CampaignResult], None]


def run_campaign(
    campaign: Campaign,
    *,
    on_progress: Progress = lambda text: None,
    on_round: OnRound = lambda result: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> CampaignResult:
    """Measure what a campaign asks for, in the order of its value, until all is done or it is to end.

    Args:
        on_progress: called with a line of text: the act, its number of how many, and its result.
        on_round: called after each round with the measurements so far, without waterfalls and verdicts.
        interrupted: whether to end now; called ten times a second. A worker's current act is then given up.

    Returns:
        What was measured, with waterfalls and verdicts; `CampaignResult.end` says whether it is all, and
        what is not measured is skipped, with the reason.

    Raises:
        InvalidValueError: there is no such device.
        WorkerLostError: nothing could be timed, and the campaign was not ended from outside.
    """
    require_device(campaign.device)
    ending = Ending(campaign.max_minutes, interrupted)
    with Bench(
        campaign.device,
        threads=campaign.threads,
        on_progress=on_progress,
        program=campaign.program,
        ending=ending,
    ) as bench:
        run = _Run(campaign, bench, ending, on_round)
        with suppress(EndedError):
            run.measure()
    return run.explained()


class _Run:
    """A campaign that is under way."""

    def __init__(self, campaign: Campaign, bench: Bench, ending: Ending, on_round: OnRound) -> None:
        self._campaign, self._bench, self._ending, self._on_round = campaign, bench, ending, on_round
        self._counts = {network.name: count_network(network, 1) for network in campaign.networks}
        self._ceilings: Ceilings | None = None
        self._notes: list[str] = []
        self._chains = choose_chains(campaign, {})

    def measure(self) -> None:
        """Time everything.

        Raises:
            EndedError: it is to end before.
        """
        first = list({case.key: case for case in iter_first_cases(self._campaign)}.values())
        self._time(first, later=len(self._cases()) - len(first))
        times_ms = {case.key: self._bench.result(case).median_ms for case in first if self._was_timed(case)}
        self._chains = choose_chains(self._campaign, times_ms)
        if self._campaign.explain:
            self._measure_ceilings()
        cases = self._cases()
        for start in range(0, len(cases), MAX_OPEN):
            part, later = cases[start : start + MAX_OPEN], max(len(cases) - start - MAX_OPEN, 0)
            waiting = [case for case in part if not self._was_timed(case)]
            self._time(waiting, before=start + len(part) - len(waiting), later=later)
            self._on_round(self.so_far())
            for number in range(2, self._campaign.rounds + 1):
                self._time(part, number=number, before=start, later=later)
                self._on_round(self.so_far())
            if later:
                self._bench.close_cases()

    def so_far(self) -> CampaignResult:
        """What was measured, and what was tried and could not be."""
        others = list_explaining_cases(self._campaign, self._chains)
        cases = unique_cases([*list_table_cases(self._campaign), *others])
        timed = [case for case in cases if self._was_timed(case)]
        reasons = {case.key: self._reason(case) for case in cases if not self._was_timed(case)}
        return CampaignResult(
            campaign=self._campaign,
            timed=tuple(Timed(case=case, measurement=self._bench.result(case)) for case in timed),
            skipped=tuple((case, reason) for case in cases if (reason := reasons.get(case.key))),
            lacking=frozenset(self._bench.lacking),
            counts=self._counts,
            ceilings=self._ceilings,
            waterfalls=(),
            verdicts=(),
            notes=tuple(self._notes),
            end=self._ending.end,
        )

    def explained(self) -> CampaignResult:
        """The same at the end, with waterfalls and verdicts.

        Raises:
            WorkerLostError: nothing could be timed, and the campaign was not ended from outside.
        """
        found, evidence = self.so_far(), []
        if not found.timed and found.end is End.FINISHED:
            raise WorkerLostError(f"nothing could be timed: {found.skipped[0][1]}")
        if self._campaign.explain and self._ceilings is None and found.end is not End.FINISHED:
            self._notes.append(
                f"nothing is explained: {self._ending.reason} before the ceilings were measured"
            )
        if self._ceilings is not None:
            timed, skipped = {one.case.key: one for one in found.timed}, _by_key(found.skipped)
            evidence = explain(self._campaign, self._chains, timed, skipped, self._ceilings, self._notes)
        verdicts = judge(evidence, self._campaign.kind) if evidence else ()
        waterfalls = tuple(one.waterfall for one in evidence)
        return found.with_explanation(waterfalls, verdicts, tuple(self._notes))

    def _cases(self) -> list[Case]:
        """All of them; those that explain first, as they are worth more than a further mode."""
        table = list_table_cases(self._campaign)
        others = list_explaining_cases(self._campaign, self._chains)
        return in_order_of_value(self._campaign, [*others, *table])

    def _time(self, cases: Sequence[Case], *, later: int, before: int = 0, number: int = 1) -> None:
        self._bench.time_once(
            cases,
            seconds=self._campaign.seconds,
            number=number,
            rounds=self._campaign.rounds,
            before=before,
            later=later,
        )

    def _measure_ceilings(self) -> None:
        """None, and a note, where they cannot be: what is timed is worth having without a waterfall."""
        try:
            self._ceilings = self._bench.measure_ceilings()
        except WorkerLostError as error:
            self._notes.append(
                f"nothing is explained, since the device's ceilings could not be measured: {error}"
            )

    def _was_timed(self, case: Case) -> bool:
        return self._bench.was_timed(case)

    def _reason(self, case: Case) -> str | None:
        """Why a case was not timed; None while it still may be."""
        if case.key in self._bench.skipped:
            return self._bench.skipped[case.key]
        return f"not measured: {self._ending.reason}" if self._ending.end is not End.FINISHED else None


def _by_key(skipped: Sequence[tuple[Case, str]]) -> dict[str, str]:
    return {case.key: reason for case, reason in skipped}
