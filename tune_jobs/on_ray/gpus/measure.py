"""``--gpus-per-trial auto``: measures a step of the largest candidate, so that `share` can choose a part.

On this machine a separate process measures while Ray starts. On a cluster a task measures on a worker with a
whole GPU. Both let processes train with the study's code and data (`side_by_side`), and take seconds.
`tune_jobs.on_ray.runner` starts the process, and `tune_jobs.on_ray.tuning` asks for the part.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from eml_models.data.datasets import custom_datasets
from eml_models.data.file_sets import known_file_sets
from eml_models.networks.registry import custom_models
from tune_jobs.errors import TuneJobsError
from tune_jobs.feasible.largest import largest_candidate
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.on_ray.gpus.card_program import read_answer, request_text
from tune_jobs.on_ray.gpus.share import GpuPart, choose_part
from tune_jobs.on_ray.gpus.side_by_side import CardLoad, Limits, measure_card
from tune_jobs.on_ray.gpus.step_process import END_S, ending, environment
from tune_jobs.on_ray.gpus.step_program import StepRequest
from tune_jobs.session.settings import AUTO, RunSettings
from tune_jobs.study.definition import Study

LOG = logging.getLogger("tune_jobs.gpus")
POLL_S = 0.2
LIMIT_S = 900.0
"""Seconds that a measurement may take if trials have no time limit: it may have to download a data set."""

PROGRAM = "tune_jobs.on_ray.gpus.card_program"


class LocalMeasurement:
    """A process that measures on this machine's GPU."""

    def __init__(self, process: subprocess.Popen[str], stderr: IO[str], *, limit_s: float = LIMIT_S) -> None:
        self._process, self._stderr, self._limit_s = process, stderr, limit_s

    def result(self, *, ended: Callable[[], bool]) -> CardLoad | None:
        """The load of a step; None if `ended` became true before.

        Raises:
            TuneJobsError: the candidate could not be trained; says why.
        """
        give_up_at = time.monotonic() + self._limit_s
        while self._process.poll() is None:
            if ended():
                return None
            _check_time(give_up_at, self._limit_s)
            time.sleep(POLL_S)
        if ended():  # the signal may have reached the process too
            return None
        text = self._process.stdout.read() if self._process.stdout else ""
        if not text.strip():
            raise _not_measured(ending(self._process.returncode, self._stderr))
        found = read_answer(text)
        if isinstance(found, str):
            raise _not_measured(found)
        return found


@contextmanager
def measured_here(
    study: Study, code: UserCode | None, settings: RunSettings
) -> Iterator[LocalMeasurement | None]:
    """A measurement that is under way on this machine, while the context is open.

    None if there is nothing to measure, or if a worker must measure: on a cluster, and for model families and
    data sets that this program registered itself, because only Ray's workers get those.
    """
    asked = settings.gpus_per_trial == AUTO and settings.device != "cpu" and study.latency is None
    here = settings.address is None and not _has_registered(code)
    if not (asked and here) or study.has_own_fit:
        yield None
        return
    request = _request(study, code, settings)
    limit_s = settings.trial_timeout_s or LIMIT_S
    with tempfile.TemporaryFile("w+") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environment(),
            start_new_session=True,  # Ctrl-C in a terminal is for this process, which ends that one
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):  # the process has ended, and `result` quotes its last words
                process.stdin.write(request_text(request, limit_s=limit_s))
                process.stdin.flush()  # and stays open: the process ends once stdin closes, as by a kill here
            yield LocalMeasurement(process, stderr, limit_s=limit_s)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
            for stream in (process.stdin, process.stdout):
                with suppress(BrokenPipeError):
                    stream.close()


def _has_registered(code: UserCode | None) -> bool:
    """Whether this program itself registered parts that another process does not know."""
    return bool(known_file_sets() or (code is None and (custom_models() or custom_datasets())))


def _request(
    study: Study, code: UserCode | None, settings: RunSettings, registered: bytes = b""
) -> StepRequest:
    """Steps of the largest candidate, with the settings that they have in common with the steps of trials."""
    names = ("data_dir", "download", "kernels", "execution")
    return StepRequest(
        recipe=largest_candidate(study).to_json(),
        code=code,
        where={"device": "cuda", **{name: getattr(settings, name) for name in names}},
        registered=registered,
    )


def measure_part(
    study: Study,
    code: UserCode | None,
    settings: RunSettings,
    here: LocalMeasurement | None,
    *,
    ended: Callable[[], bool],
) -> GpuPart | None:
    """The part of a GPU for each trial of the study, from a measured step of its largest candidate.

    Args:
        here: a measurement that is under way on this machine; None to let a worker measure.

    Returns:
        The part; None if `ended` became true before the end of the measurement.

    Raises:
        TuneJobsError: the candidate could not be trained; gives the reason.
    """
    card = here.result(ended=ended) if here else _measure_on_worker(study, code, settings, ended)
    if card is None:
        return None
    part, load = choose_part(card.load, card.images_per_s), card.load
    if load.others_bytes:
        LOG.warning(
            "other processes hold %.1f of the GPU's %.1f GB, so trials share the rest; their times depend on"
            " those processes",
            load.others_bytes / 1e9,
            load.total_bytes / 1e9,
        )
    LOG.warning("%s", describe_choice(card, part))
    return part


def describe_choice(card: CardLoad, part: GpuPart) -> str:
    """The sentence of the run that says what was measured and what was chosen."""
    load = card.load
    if card.images_per_s:
        counts = ", ".join(map(str, card.images_per_s))
        paces = ", ".join(f"{pace:.0f}" for pace in card.images_per_s.values())
        pace = f"; {counts} of it side by side train {paces} images/s in all"
    else:
        pace = f" (several side by side were not measured: {card.not_together_because})"
    trials = f"{round(1 / part.gpus)} trials share a GPU" if part.gpus < 1 else "each trial gets a whole GPU"
    memory = f"{load.peak_bytes / 1e9:.2f} of {load.total_bytes / 1e9:.1f} GB"
    busy = f"{100 * load.busy:.0f} %"
    return f"the largest candidate takes {memory} and keeps the GPU busy for {busy} of a step{pace}: {trials}"


def _measure_on_worker(
    study: Study, code: UserCode | None, settings: RunSettings, ended: Callable[[], bool]
) -> CardLoad | None:
    """The load of a step on a worker with a whole GPU, which it waits for; None if `ended` became true."""
    import ray

    from tune_jobs.on_ray.worker.registered import pack_registered

    LOG.warning("measuring a step of the largest candidate on a whole GPU; this takes some seconds")
    measure = ray.remote(max_retries=0, num_cpus=settings.cpus_per_trial, num_gpus=1)(_measure)
    registered = pack_registered(code) if _has_registered(code) else b""
    limit_s = settings.trial_timeout_s or LIMIT_S
    task = measure.remote(_request(study, code, settings, registered).fields(), limit_s)
    give_up_at, is_done = time.monotonic() + limit_s, False
    try:
        while not ray.wait([task], timeout=POLL_S)[0]:
            if ended():
                return None
            _check_time(give_up_at, limit_s)
        is_done = True
        return _result(task)
    finally:
        if not is_done:  # cancelling a task that has just ended has made Ray end this process
            ray.cancel(task, force=True)


def _measure(request: dict[str, Any], limit_s: float) -> CardLoad:
    return measure_card(StepRequest.of(request), Limits(whole_s=limit_s))


def _result(task: Any) -> CardLoad:
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        found: CardLoad = ray.get(task)
    except RayTaskError as error:
        raise _not_measured(str(error.cause)) from error
    except RayError as error:
        raise _not_measured(str(error)) from error
    return found


def _check_time(give_up_at: float, limit_s: float) -> None:
    if time.monotonic() > give_up_at:
        raise _not_measured(f"there was no answer for {limit_s:g} s")


def _not_measured(why: str) -> TuneJobsError:
    return TuneJobsError(
        f"the largest candidate could not be measured: {why}. Correct that, or give --gpus-per-trial a number"
    )
