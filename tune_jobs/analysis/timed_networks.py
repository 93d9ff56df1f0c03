"""Timed networks as rows of the store's table `latencies`. Called by `tune_jobs.cli`."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime

from eml_models.latency.bench.cases import Source
from eml_models.latency.explaining.campaign import CampaignResult, Timed
from eml_models.networks.words import NetworkSpec
from tune_jobs.store.columns.latency_rows import LatencyRow
from tune_jobs.study.rows import as_json_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A network that a word of the command line names, with its trial if it has one."""

    network: NetworkSpec
    study: str | None = None
    number: int | None = None


def row_of(
    timed: Timed, asked: Asked, result: CampaignResult, *, run: str, now: datetime, commit: str | None
) -> LatencyRow:
    case, measured, network = timed.case, timed.measurement, asked.network
    plan, conditions = network.plan(), timed.measurement.conditions
    return LatencyRow(
        run=run,
        network=network.name,
        study=asked.study,
        number=asked.number,
        model=network.model,
        options=as_json_text(dict(network.options)),
        input_shape=network.shown_input,
        macs=plan.macs,
        parameters=plan.parameters,
        activations=plan.activations,
        traffic_bytes=plan.traffic_bytes(),
        kernels=result.counts[network.name].kernels,
        device=conditions.device,
        device_name=conditions.device_name,
        mode=str(case.mode),
        precision=case.mode.precision,
        casting=case.mode.cast,
        layout=case.mode.layout,
        execution=case.mode.execution,
        folded=case.mode.folded,
        source=case.source,
        variant=case.variant,
        allocator=conditions.allocator,
        kernel_search=case.kernel_search,
        batch_size=measured.batch_size,
        requested_batch_size=measured.requested_batch_size,
        n=measured.n,
        median_ms=measured.median_ms,
        q1_ms=measured.q1_ms,
        q3_ms=measured.q3_ms,
        threads=conditions.threads,
        torch_version=conditions.torch_version,
        cudnn_version=conditions.cudnn_version,
        clock_mhz=conditions.clock_mhz,
        load_average=conditions.load_average,
        hostname=socket.gethostname(),
        git_commit=commit,
        waterfall=_waterfall_of(timed, result),
        notes="\n".join([*measured.notes, *filter(None, [measured.noise])]),
        measured_at=now,
    )


def _waterfall_of(timed: Timed, result: CampaignResult) -> str | None:
    """Where the step went, as JSON, if this is the step that a waterfall takes apart."""
    if timed.case.source is not Source.LOADER:
        return None
    place = (timed.case.network.name, timed.case.batch_size)
    found = [w for w in result.waterfalls if (w.network, w.batch_size) == place]
    return as_json_text(found[0].as_dict()) if found else None
