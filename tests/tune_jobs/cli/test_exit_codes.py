"""Exit codes of runs: 1 if nothing came of it, and what is refused before Ray starts and before the store."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from cli_testing import Cli
from living_ray import LivingRay
from session_testing import WORKER, play, play_attempt

from tune_jobs.on_ray import preflight, runner, tuning
from tune_jobs.session.state_machine import Session
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.rows import Failure

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

OWN = """
import threading
from functools import partial
from types import SimpleNamespace
from tune_jobs.inputs.shipped import digits_recipes

def fit(recipe, *, lock, **options):
    yield SimpleNamespace(epoch=1, val_accuracy=0.5)

def locked():
    return digits_recipes().with_changes(name="own", fit=partial(fit, lock=threading.Lock()))
"""


class Ends:
    """Plays Ray: each trial of a run completes (c) or fails (f) as the letters say; then the run ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.letters = ""
        self.is_interrupted = False
        monkeypatch.setattr(runner, "connected", lambda *args, **options: nullcontext(LivingRay()))
        monkeypatch.setattr(tuning, "fit_session", self._play)
        monkeypatch.setattr(preflight, "gpus_here", lambda: 0)

    def _play(self, session: Session, *args: Any) -> bool:
        for letter in self.letters:
            attempt = session.next_attempt()
            assert attempt is not None
            if letter == "c":
                play_attempt(session, attempt)
            else:
                session.record_failure(attempt.number, Failure.RAISED, "ValueError: no", worker=WORKER)
        if not self.letters:
            play(session)
        return self.is_interrupted


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Ends:
    return Ends(monkeypatch)


RUN = ("run", "digits-recipes", "--no-asha", "--trials", "3")


def test_run_whose_trials_all_failed_is_failed_also_when_it_is_looked_at_again(cli: Cli, ends: Ends) -> None:
    ends.letters = "fff"
    for _ in range(2):
        code, _, err = cli(*RUN)
        assert code == 1
        assert "nothing but failures: 3 trials failed, and none completed or was stopped. Mend the" in err
        assert "select number, failure, error from trials where study = 'digits-recipes'" in err


@pytest.mark.parametrize(
    ("letters", "is_interrupted", "expected"), [("ffc", False, 0), ("ccc", False, 0), ("fff", True, 130)]
)
def test_run_of_which_something_came_or_that_was_interrupted_is_not_failed(
    cli: Cli, ends: Ends, letters: str, is_interrupted: bool, expected: int
) -> None:
    ends.letters, ends.is_interrupted = letters, is_interrupted
    code, _, err = cli(*RUN)
    assert code == expected
    assert "nothing but failures" not in err


@pytest.fixture
def hangs_up() -> Iterator[None]:
    """SIGHUP ends a process here, also where the tests themselves run below `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangs_up")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("has_own_handler", [True, False])
def test_signal_while_ray_starts_ends_the_run_in_order(
    cli: Cli,
    ends: Ends,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    has_own_handler: bool,
) -> None:
    """Ray sets a handler of SIGTERM while it starts, which exits at once with the signal's number."""

    @contextmanager
    def starts(*args: object, **options: object) -> Iterator[LivingRay]:
        if has_own_handler:
            signal.signal(signal.SIGTERM, lambda got, frame: sys.exit(got))
        signal.raise_signal(number)
        yield LivingRay()

    monkeypatch.setattr(runner, "connected", starts)
    monkeypatch.setattr(runner, "leave_half_started", lambda: left.append(number))
    left: list[int] = []
    monkeypatch.setattr(tuning, "fit_session", lambda *args: args[4].arrived)
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    code, _, err = cli(*RUN)
    assert code == 130
    assert "interrupted after 0 of 3 trials; all finished trials are in the store. Continue with:" in err
    events = TrialStore(folder / "trials").events("digits-recipes")
    assert events["detail"].tolist()[-1] == '{"how":"interrupted"}'
    assert bool(left) == (has_own_handler and number == signal.SIGTERM)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


INLINE = """
import signal
from tune_jobs import Float, Maximize, Space, Study

def train(params, run):
    signal.raise_signal(signal.SIGHUP)
    yield {"iou": 0.5}
    yield {"iou": 0.5}

study = Study(name="own", space=Space(Float("lr", 0.1, 1.0)), train=train, epochs=2,
              objectives=(Maximize("iou"),), trials=3, asha=None)
"""


@pytest.mark.usefixtures("hangs_up")
def test_closed_terminal_ends_an_inline_run_in_order(cli: Cli, folder: Path) -> None:
    (folder / "inline.py").write_text(INLINE)
    code, _, err = cli("run", "inline.py:study", "--inline")
    assert code == 130
    assert "interrupted after 0 of 3 trials" in err


def test_finalists_that_all_failed_are_failed(cli: Cli, ends: Ends) -> None:
    ends.letters = "ccc"
    assert cli(*RUN)[0] == 0
    ends.letters = "ff"
    code, _, err = cli("finalists", "digits-recipes", "--top", "1", "--repeats", "1")
    assert code == 1
    assert "nothing but failures: 2 trials failed" in err


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("digits-recipes", "--device", "cuda"), 1, "a trial takes 1 GPU, and this machine has none; leave"),
        (("digits-recipes", "--gpus-per-trial", "auto"), 1, "a trial takes 1 GPU, and this machine has none"),
        (("digits-recipes", "--device", "cuda", "--gpus-per-trial", "0"), 2, "must be above 0 or left out"),
        (("mnist-recipes",), 1, "data set 'mnist' is not in"),
        (("digits-recipes", "--sampler", "grid"), 2, "'learning_rate' is continuous"),
        (("own.py:locked",), 2, "its training function fit must be picklable, because workers get a copy"),
        (("own.py:locked", "--gpus-per-trial", "auto"), 2, "this study trains by a function of its own"),
    ],
)
def test_what_cannot_run_is_refused_before_the_store_knows_and_by_a_dry_run(
    cli: Cli, ends: Ends, folder: Path, words: tuple[str, ...], code: int, told: str, more: list[str]
) -> None:
    (folder / "own.py").write_text(OWN)
    found = cli("run", *words, *more)
    assert found[:2] == (code, ""), found
    assert told in found[2]
    assert "Traceback" not in found[2]
    assert [path.name for path in folder.iterdir()] == ["own.py"]


def test_finalists_are_checked_by_a_dry_run(cli: Cli, ends: Ends) -> None:
    assert cli(*RUN)[0] == 0
    code, out, err = cli("finalists", "digits-recipes", "--device", "cuda", "--dry-run")
    assert (code, out) == (1, "")
    assert "a trial takes 1 GPU, and this machine has none" in err
