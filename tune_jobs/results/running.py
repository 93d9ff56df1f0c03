"""Runs a study for a caller in Python, and returns its results.

`tune_jobs.run_study` is this function. `tune_jobs.on_ray.runner` does the work, for the command line too; it
is imported at the call, since it leads to Ray.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Unpack

from eml_models.errors import EmlError
from eml_models.wording import count_of, harmless
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.results.callbacks import Caller, check_callbacks
from tune_jobs.results.of_study import Results
from tune_jobs.results.python_words import errors_in_python, in_python
from tune_jobs.session.attempt import Progress
from tune_jobs.session.outcome import RunOutcome
from tune_jobs.session.settings import ProgressListener, RunSettings, SettingFields, joined_settings
from tune_jobs.study.definition import Study


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RunResults(Results):
    """The results of a study at the end of a run, and how the run ended.

    Attributes:
        outcome: how it ended, as one value; the properties below are its parts.
    """

    outcome: RunOutcome

    @property
    def progress(self) -> Progress:
        """The counts of trials and the seconds at the end of the run."""
        return self.outcome.progress

    @property
    def begun(self) -> Progress | None:
        """The same at its beginning, with the trials of earlier runs; None if there were none."""
        return self.outcome.begun

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended it."""
        return self.outcome.interrupted

    @property
    def limit_reached(self) -> bool:
        """Whether the limit on device time ended it."""
        return self.outcome.limit_reached

    @property
    def already_complete(self) -> bool:
        """Whether the study had all its trials before the run."""
        return self.outcome.already_complete

    @property
    def end_reason(self) -> str | None:
        """Why the sampler has no more proposals; None if it has."""
        return self.outcome.end_reason

    @property
    def num_failed(self) -> int:
        """The trials that failed in this run; of a study that was complete before, in all its runs."""
        return self.outcome.num_failed

    @property
    def all_failed(self) -> bool:
        """Whether trials failed in this run, and none ended as completed or stopped."""
        return self.outcome.all_failed


def run_study(
    study: Study | str,
    settings: RunSettings | None = None,
    *,
    code: UserCode | None = None,
    on_progress: ProgressListener | None = None,
    on_note: Callable[[str], object] | None = None,
    callbacks: Sequence[object] = (),
    **fields: Unpack[SettingFields],
) -> RunResults:
    """Run or continue a study until it has its trials; every row is in the store when this returns.

    ``run_study(study, store="trials", workers=2)``: the fields of `RunSettings` are keywords too. Ctrl-C and
    SIGTERM end the run in order, with all finished trials in the store, and then have their usual effect.
    The same call continues the study.

    Args:
        study: the study, or a name: that of a shipped study, ``file.py:function``, or that of a study of the
            store, which then continues to the number of trials that its newest run asked for.
        settings: the settings as one value; a field may be here or a keyword, not both.
        on_progress: called a few times a second, from a thread of the run. None shows a line: in a notebook
            below the cell, else on stderr.
        on_note: called with each note for the user: at the start, such as on a limit that refuses nothing,
            and once for a trial that says nothing for many times its usual epoch. None writes it to stderr.
        callbacks: objects with methods of `tune_jobs.Callback`, called in this process as trials report and
            end.

    Returns:
        The results of the study, from all its runs, and how this run ended.

    Raises:
        KeyboardInterrupt: Ctrl-C ended the run.
        StudyChangedError: the store holds another definition under this name.
        StoreError: the store cannot be written, or another writer holds the study.
        InvalidValueError: the address is not a head's, a setting is given twice or does not suit the study.
        UnknownNameError: there is no study of this name, or no such setting.
        DatasetMissingError: the data set is not in the data folder of this machine.
        RayLostError: Ray dies during the run.
        TuneJobsError: Ray does not start, no cluster answers, a trial fits no node, or it asks for a GPU that
            this machine does not have.
        RunFailedError: the search cannot continue.
    """
    with errors_in_python():
        check_callbacks(callbacks)
        settings = joined_settings(settings, fields)
        note = on_note or _write_note
        return _run(
            study,
            settings,
            code=code,
            on_progress=on_progress,
            say=lambda text: note(in_python(text)),
            callbacks=callbacks,
        )


def _run(
    study: Study | str,
    settings: RunSettings,
    *,
    code: UserCode | None,
    on_progress: ProgressListener | None,
    say: Callable[[str], object],
    callbacks: Sequence[object],
) -> RunResults:
    from tune_jobs.report.notebook import expect_no_widgets

    expect_no_widgets()
    from tune_jobs.inputs.named_study import find_study
    from tune_jobs.on_ray import runner
    from tune_jobs.report.progress import show_progress

    study, found_code = find_study(study, store=settings.store)
    caller = Caller(study, callbacks, store=settings.store, say=say)
    try:
        with nullcontext(on_progress) if on_progress else show_progress(on_ray=not settings.inline) as listen:
            outcome = runner.run_study(
                study,
                settings,
                code=code or found_code,
                on_progress=listen,
                on_note=say,
                on_rows=caller.hear if callbacks else None,
            )
        results = _results(outcome)
    except BaseException as error:  # an interrupt too: what the callbacks hold open must be closed
        _end_after(error, caller, study, settings.store)
        raise
    if caller.began:
        caller.end(results)
    _have_effect(outcome)
    return results


def _results(outcome: RunOutcome) -> RunResults:
    from tune_jobs.results.trial_store import TrialStore

    found = TrialStore(outcome.store).results(outcome.study)
    return RunResults(store=found.store, known=found.known, given=outcome.study, outcome=outcome)


def _end_after(error: BaseException, caller: Caller, study: Study, store: str) -> None:
    """Call the end of a run that raised; the error goes before one of the store."""
    from tune_jobs.results.trial_store import TrialStore
    from tune_jobs.store.reading.study_snapshot import snapshot_of

    if not caller.began:
        return
    try:
        results = TrialStore(store).results(study)
    except EmlError as second:
        results = Results(store=store, known=snapshot_of(study, caller.rows), given=study)
        if second is not error:
            error.add_note(f"the callbacks got the rows of this run alone at its end, because {second}")
    caller.end(results)


def _write_note(note: str) -> None:
    print(harmless(f"note: {note}"), file=sys.stderr)


def _have_effect(outcome: RunOutcome) -> None:
    """Let the signal that ended a run in order have its usual effect."""
    if not outcome.interrupted:
        return
    progress = outcome.progress
    done = f"{progress.trained} of {count_of(progress.target, 'trial')}"
    words = (
        f"study {outcome.study.name!r} was interrupted after {done}; all finished trials are in"
        f" {outcome.store!r}, and the same call continues it"
    )
    if outcome.signal == signal.SIGINT:
        raise KeyboardInterrupt(words)
    print(words, file=sys.stderr)
    if outcome.signal is not None:
        signal.raise_signal(outcome.signal)
