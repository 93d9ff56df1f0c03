"""A run without Ray: what it refuses before the store knows of it, and which error it shows at its end."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from living_ray import LivingRay
from ray_studies import curve_study
from session_testing import WORKER, rising

from eml_models.errors import InvalidValueError, UnknownNameError
from tune_jobs.errors import RayLostError, RunFailedError, StoreError, TuneJobsError
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.on_ray import leaving, runner, tuning
from tune_jobs.on_ray.runner import run_study
from tune_jobs.session.settings import RunSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.writer import StudyWriter

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "http://127.0.0.1:8265", "127.0.0.1"])
def test_address_that_is_none_for_a_run_is_refused_before_the_store_knows(
    address: str, tmp_path: Path
) -> None:
    settings = RunSettings(store=str(tmp_path / "trials"), address=address)
    with pytest.raises(InvalidValueError, match=r"HOST:(PORT|6379)"):
        run_study(SHIPPED["digits-recipes"](), settings)
    assert list(tmp_path.iterdir()) == []


def test_address_where_nobody_listens_is_refused_before_the_store_knows(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
    with pytest.raises(TuneJobsError, match=f"no Ray cluster answers at {address}"):
        run_study(SHIPPED["digits-recipes"](), RunSettings(store=str(tmp_path / "trials"), address=address))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(autouse=True)
def _played_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "measured_here", lambda *args: nullcontext())
    monkeypatch.setattr(runner, "connected", lambda *args, **options: nullcontext(LivingRay()))


def read_only(path: str) -> StoreError:
    try:
        raise OSError(errno.EROFS, "Read-only file system", path)
    except OSError as error:
        return StoreError(f"could not make {path!r}: {error.strerror}")


def test_store_that_becomes_read_only_is_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    study = curve_study(trials=2, asha=None)

    def refuse(files: LocalFiles, key: str) -> None:
        raise read_only(files.describe(key))

    def train_until_read_only(session: Session, *args: object, **options: object) -> bool:
        attempt = session.next_attempt()
        assert attempt is not None
        for epoch in range(1, attempt.recipe.epochs + 1):
            session.record_report(attempt.number, rising(attempt, epoch), WORKER)
        (writer,) = opened
        writer._publish()
        monkeypatch.setattr(LocalFiles, "open_append", refuse)
        session.next_attempt()
        return False

    opened: list[StudyWriter] = []
    first = StudyWriter.__init__

    def noted(self: StudyWriter, *args: object, **options: object) -> None:
        opened.append(self)
        first(self, *args, **options)  # type: ignore[arg-type]  # as it is called

    monkeypatch.setattr(StudyWriter, "__init__", noted)
    monkeypatch.setattr(tuning, "fit_session", train_until_read_only)
    with pytest.raises(StoreError) as raised:
        run_study(study, RunSettings(store=str(tmp_path / "store")))
    said = str(raised.value)
    assert said.startswith(f"could not make '{tmp_path}/store/_wal/s-{study.name}/")
    assert said.endswith(".jsonl': Read-only file system")
    assert "interrupted" not in caplog.text
    assert len(TrialStore(tmp_path / "store").trials()) == 1


def test_error_of_a_run_is_the_last_word_also_where_its_end_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(session: Session, *args: object, **options: object) -> bool:
        monkeypatch.setattr(session, "close", refuse)
        raise RunFailedError("5 trials in a row failed")

    def refuse(how: str) -> None:
        raise read_only("journal")

    monkeypatch.setattr(tuning, "fit_session", fail)
    with (
        caplog.at_level(logging.WARNING, "tune_jobs.run"),
        pytest.raises(RunFailedError, match="5 trials in a row failed"),
    ):
        run_study(curve_study(trials=2), RunSettings(store=str(tmp_path / "store")))
    assert "the failed end of the run could not be written: could not make 'journal'" in caplog.text


class DyingRay(LivingRay):
    """A Ray that dies at once."""

    def lost(self, *, patient: bool = True) -> str | None:
        return "Ray on this machine has lost its process gcs_server"

    def abandon(self) -> None: ...


@pytest.mark.parametrize("signalled", [True, False])
def test_run_whose_ray_dies_ends_though_a_call_to_ray_hangs(
    signalled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a signal, Ray has got it too, and the run is interrupted; without one it has failed."""
    released = threading.Event()

    def hang(*args: object, **options: object) -> bool:
        if signalled:
            os.kill(os.getpid(), signal.SIGTERM)
        return released.wait()

    monkeypatch.setattr(leaving, "_LEFT", threading.Event())
    monkeypatch.setattr(tuning, "fit_session", hang)
    ray = DyingRay() if not signalled else DyingAfterSignal()
    monkeypatch.setattr(runner, "connected", lambda *args, **options: nullcontext(ray))
    settings = RunSettings(store=str(tmp_path / "store"))
    if signalled:
        assert run_study(curve_study(trials=2), settings).interrupted
    else:
        with pytest.raises(RayLostError, match="has lost its process gcs_server"):
            run_study(curve_study(trials=2), settings)
    assert leaving.has_left()
    released.set()
    with StudyWriter.open(str(tmp_path / "store"), curve_study(trials=2), versions={}):
        """The run holds the study no more."""


class DyingAfterSignal(DyingRay):
    """A Ray that dies of the run's signal."""

    def lost(self, *, patient: bool = True) -> str | None:
        return super().lost() if not patient else None


def end_at_once(session: Session, *args: object, **options: object) -> bool:
    return True


def test_fields_of_settings_are_keywords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "fit_session", end_at_once)
    outcome = run_study(curve_study(trials=2), store=str(tmp_path / "store"), workers=2)
    assert outcome.store == str(tmp_path / "store")
    with pytest.raises(InvalidValueError, match="store is given twice"):
        run_study(curve_study(trials=2), RunSettings(store=str(tmp_path / "store")), store="other")
    with pytest.raises(UnknownNameError, match="unknown setting of a run 'worker'; known: workers"):
        run_study(curve_study(trials=2), store=str(tmp_path / "other"), worker=2)  # type: ignore[call-arg]  # wrong on purpose
    assert not (tmp_path / "other").exists()


def test_name_is_taken_for_its_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "fit_session", end_at_once)
    store = str(tmp_path / "store")
    study = SHIPPED["digits-recipes"]()
    assert run_study("digits-recipes", store=store).study == study
    run_study(study.with_changes(name="mine", trials=40), store=store)
    assert run_study("mine", store=store).study.trials == 40
    with pytest.raises(UnknownNameError, match="unknown study 'mime'; known: mine"):
        run_study("mime", store=store)
