"""Acts for `--dry-run` of `run` and `finalists`: gathers what a run would do and prints it; trains nothing.

For people a page; with ``--format json`` the resolved study and its settings.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from eml_models.errors import InvalidValueError
from tune_jobs.cli.telling import put, tell_note
from tune_jobs.errors import StoreMissingError
from tune_jobs.feasible.passing import count_passing
from tune_jobs.feasible.reach import check_reachable, list_adapted
from tune_jobs.inputs.warm_start import Source, read_source
from tune_jobs.report.formats import CSV, JSON
from tune_jobs.report.preview import Preview, preview_page
from tune_jobs.report.summary import summary
from tune_jobs.report.terminal import paint_of
from tune_jobs.report.text import text_width
from tune_jobs.search.given import check_point
from tune_jobs.search.grid_order import count_points
from tune_jobs.search.history import History
from tune_jobs.session.attempt import SessionSettings
from tune_jobs.session.forecast import Pace, estimate_time, work_before
from tune_jobs.session.pace import epochs_sql, measured_epochs, own_pace, pace_of_same_recipe
from tune_jobs.session.settings import RunSettings
from tune_jobs.store.files.protocol import absolute
from tune_jobs.store.format.definitions import check_definable, is_known
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.definition import Study
from tune_jobs.study.rows import Row

GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Files that a machine has if the driver of a GPU is loaded: NVIDIA's, that of WSL, AMD's."""


def print_reach(study: Study) -> None:
    """Print the notes on the study's limits that a run prints at its start.

    Raises:
        InvalidValueError: no network of the space keeps the limits, so a run would be refused.
    """
    for note in check_reachable(study):
        tell_note(note)


def print_dry_run(study: Study, settings: RunSettings, form: str) -> None:
    """Print what a run of the study would do, as a page for people, or the study itself as JSON.

    The page also looks at the study in the store. JSON is about the study alone, apart from a warm start.

    Raises:
        InvalidValueError: a run would be refused because of its limits or its GPUs; or the form is CSV. A
            page also shows so for the sampler and for given points.
        StudyChangedError: a page for a study of which the store holds another definition.
        StoreCorruptError: a page for a study with damaged rows, which a run would not continue.
        TuneJobsError: a run would be refused because of its warm-start source.
    """
    if form == CSV:
        raise InvalidValueError(
            "a dry run has no table for --format csv; leave --format out, or give --format json"
        )
    print_reach(study)
    settings.check_gpus(study)
    source = read_source(study, settings.warm_start, store=settings.store) if settings.warm_start else None
    if form == JSON:
        put(json.dumps(_resolved(study, settings), indent=2, ensure_ascii=False) + "\n")
    else:
        put(preview_page(_preview(study, settings, source), width=text_width(), paint=paint_of(sys.stdout)))


def _resolved(study: Study, settings: RunSettings) -> dict[str, object]:
    """The study and its settings as plain data, with changes of its networks for small images."""
    return {
        "name": study.name,
        "description": study.description,
        "summary": summary(study),
        "trials": study.trials,
        "fingerprint": study.fingerprint(),
        "adapted_to_small_images": list_adapted(study),
        "definition": study.definition(),
        "settings": asdict(settings),
    }


def _preview(study: Study, settings: RunSettings, source: Source | None) -> Preview:
    from tune_jobs.search.sampler import build_sampler  # imports Optuna

    check_definable(settings.store, study)
    build_sampler(study)  # refuses a grid without end
    known = is_known(settings.store, study.name)
    rows: Sequence[Row] = TrialStore(settings.store).read(study.name, whole=True).rows if known else ()
    history = History.from_rows(study, rows)
    points = [check_point(study.space, params) for params in settings.points]
    given = SessionSettings(points=points, retry_failed=settings.retry_failed)
    work = work_before(study, history, given)
    workers = known_workers(settings, num_cores=os.cpu_count() or 1)
    pace = own_pace(rows) or _pace_of_others(study, settings)
    return Preview(
        study=study,
        settings=settings,
        num_points=count_points(study.space),
        ended=history.counts if known else None,
        work=work,
        pace=pace,
        estimate=None if pace is None else estimate_time(work, pace, workers=workers),
        workers=workers,
        passing=count_passing(study),
        warm_start=source.describe(rows) if source else None,
        adapted=list_adapted(study),
        store=absolute(settings.store),
        new_store=not _has_store(settings.store),
        used_s=sum(record.held_s + record.in_hand_s for record in history.trials.values()),
    )


def _pace_of_others(study: Study, settings: RunSettings) -> Pace | None:
    """The pace of the same recipe in other studies of the store, on this machine; None if there is none."""
    if settings.address is not None or not _has_store(settings.store):
        return None
    answer = TrialStore(settings.store).answer(epochs_sql(socket.gethostname()))
    return pace_of_same_recipe(study, measured_epochs(answer.rows), device=settings.device)


def _has_store(store: str) -> bool:
    try:
        TrialStore(store)
    except StoreMissingError:
        return False
    return True


def known_workers(settings: RunSettings, *, num_cores: int) -> int | None:
    """Trials at a time, if that is known before Ray starts; None on a cluster and beside GPUs.

    Args:
        num_cores: CPU cores of this machine, which a run without GPUs shares out.
    """
    if settings.inline:
        return 1
    if settings.workers is not None or settings.address is not None:
        return settings.workers
    if settings.device != "cpu" and settings.gpus_per_trial != 0 and any(Path(f).exists() for f in GPU_FILES):
        return None
    return max(1, num_cores // settings.cpus_per_trial)
