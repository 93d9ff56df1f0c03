"""Acts for `export` and `replay` of a trial of own training: what it saved, and a second training.

Called by `network_commands`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eml_models.errors import InvalidValueError
from eml_models.wording import count_of
from tune_jobs.analysis.replay import StoredTrial, Surroundings, compare_own, list_changes, require_started
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.cli.telling import put, tell, tell_note
from tune_jobs.errors import StoreError, TuneJobsError
from tune_jobs.feasible.own_cost import OwnCost, cost_of_trial
from tune_jobs.inputs.user_code import load_study
from tune_jobs.report.formats import TABLE
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.session.own_reports import own_metrics_text
from tune_jobs.store.notes import tell_left_out
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.code_digest import code_digest
from tune_jobs.study.definition import Study
from tune_jobs.study.field_kinds import Scalar
from tune_jobs.study.fits import name_of_fit
from tune_jobs.study.json_fields import metrics_from_json
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.worker import saved_state
from tune_jobs.worker.own_attempt import OwnAttempt
from tune_jobs.worker.saved_state import SavedState

CODE = ":"
"""The words for a study by its code have it; the name of a study never has."""

STATE = ".pt"
"""The suffix of a file with a saved state; a name without a suffix is that of a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A trial of own training that is trained again.

    Attributes:
        words: the words that name its study.
    """

    words: str
    number: int
    trial: StoredTrial
    device: str
    data_dir: str | None


def replay_own(again: Again, form: str, *, output: str | None) -> bool:
    """Train a trial of own training again, and print its metrics beside the stored ones.

    Args:
        output: the place to write to what the second training saved last; None for none.

    Returns:
        Whether all values are equal to the bit.

    Raises:
        InvalidValueError: the study is not named by its code, or the second training saved nothing for
            `output`.
        TuneJobsError: its training function raises.
    """
    study = _by_its_code(again.words, again.number)
    tell_changes(again.trial, device=again.device, code=code_digest(study.training, study.cost))
    found, saved = _train_again(study, again)
    compared = compare_own(again.trial, found)
    shown = _all_digits if form == TABLE else _unchanged
    rows = tuple(
        (one.epoch, one.metric, shown(one.stored), shown(one.replayed), one.equal) for one in compared
    )
    put(render(Table(columns=("epoch", "metric", "stored", "again", "equal"), rows=rows), form))
    num_equal = sum(one.equal for one in compared)
    tell(f"{num_equal} of {count_of(len(compared), 'value')} equal to the bit")
    if num_equal != len(compared):
        tell(
            "own training repeats to the bit if it seeds all that it draws by run.seed, and computes by"
            " deterministic kernels"
        )
    if output is not None:
        _write(saved, output, f"trial {again.number}")
    return num_equal == len(compared)


def _all_digits(value: object) -> str | None:
    """A value as text with all of its digits, because values may differ in their last."""
    return None if value is None else str(value)


def _unchanged(value: object) -> object:
    return value


def _by_its_code(name: str, number: int) -> Study:
    """The study with its training function."""
    if CODE in name:
        study, _ = load_study(name)
        if study.train is not None:
            return study
        raise InvalidValueError(
            f"trial {number} was trained by the study's own function, and {name} has a recipe now; name the"
            " code that trained it"
        )
    raise InvalidValueError(
        f"study {name!r} trains by its own function, and a store holds no code; name the study by its code,"
        f" as for its run: replay FILE.py:FUNCTION {number}"
    )


def _train_again(
    study: Study, again: Again
) -> tuple[dict[int, Mapping[str, Scalar | None]], SavedState | None]:
    """The metrics of a second training by epoch, up to the last stored report, and what it saved last."""
    trial = again.trial
    assert isinstance(trial.recipe, OwnRecipe)
    assert study.train is not None
    last = max((report.epoch for report in trial.reports), default=0)
    cost = cost_of_trial(study, trial.recipe)
    assert isinstance(cost, OwnCost)
    found: dict[int, Mapping[str, Scalar | None]] = {}
    if not last:
        return found, None
    training = OwnAttempt(
        study.train, trial.recipe, number=again.number, device=again.device, data_dir=again.data_dir
    )
    reports = training.iter_reports()
    try:
        for report in reports:
            found[report.epoch] = metrics_from_json(own_metrics_text(report.metrics, cost))
            if report.epoch >= last:
                break
    except Exception as error:  # the user's function may raise anything, errors of ours too
        raise TuneJobsError(
            f"training function {name_of_fit(study.training)} raised {type(error).__name__}: {error} after"
            f" epoch {max(found, default=0)} of trial {again.number}; mend it, or replay with the code that"
            " trained the trial"
        ) from error
    finally:
        reports.close()
    return found, training.saved


def tell_changes(trial: StoredTrial, *, device: str, code: str) -> None:
    """Write a note for each change of code, commit, versions or device since a trial was trained."""
    import torch

    from tune_jobs.store.provenance import git_state

    commit, _ = git_state(Path.cwd())
    now = Surroundings(git_commit=commit, torch_version=torch.__version__, device=device, code=code)
    for change in list_changes(trial, now):
        tell_note(change)


def require_own_output(output: str, train: str) -> None:
    """Check that what own training saved can be written to this place.

    Args:
        train: the name of the training function.

    Raises:
        InvalidValueError: another suffix than those of a state and a folder, or a place that exists.
    """
    from eml_models.training.exporting import require_new

    if Path(output).suffix not in (STATE, ""):
        raise InvalidValueError(
            f"the study trains by its own function {train}, which saves a state or a folder and no network;"
            f" write the state as NAME.pt or the folder as NAME, got {output!r}. To write another form, load"
            " the state into your network and export that"
        )
    require_new(output)


def export_own(store: str, known: StudySnapshot, number: int, output: str) -> None:
    """Write what a trial of own training saved last: its state (``NAME.pt``), or its folder (``NAME``).

    Raises:
        InvalidValueError: a place that cannot be written; a trial that was never trained, kept nothing, or
            saved nothing of this kind.
        StoreError: what it saved cannot be read.
    """
    _write(_last_saved(store, known, number), output, f"trial {number} of {known.study!r}")


def _write(saved: SavedState | None, output: str, trial: str) -> None:
    """Write a saved state or folder, as the place's suffix says, and say how to use it."""
    if saved is None:
        raise InvalidValueError(
            f"{trial} saved nothing, so {output} is not written; call run.save or run.save_folder in the"
            " training"
        )
    is_state = Path(output).suffix == STATE
    if (saved.state if is_state else saved.folder) is None:
        what, instead = ("a folder", "NAME") if is_state else ("a state", "NAME.pt")
        raise InvalidValueError(f"{trial} saved {what} alone; write it with --output {instead}")
    write = saved_state.write_state if is_state else saved_state.write_folder
    try:
        write(saved, output)
    except OSError as error:
        raise InvalidValueError(
            f"cannot write {output}: {error.strerror or error}; choose another place"
        ) from error
    what = f"what run.save took; load it with torch.load({output!r}, weights_only=True)"
    tell(f"wrote {output}: {what if is_state else 'the files that run.save_folder took'}")


def _last_saved(store: str, known: StudySnapshot, number: int) -> SavedState:
    """What a trial saved with its last report."""
    checkpoints = Checkpoints.of(store, known.study)
    recipes = {row.attempt: row.recipe for row in require_started(known.rows, number)}
    problems: list[str] = []
    try:
        files = checkpoints.iter_final(number, recipes, problems, read_owner=saved_state.owner_of_state)
        source = next(files, None)
        kept = (
            [n for n in checkpoints.numbers() if n != number and checkpoints.has_final(n)]
            if source is None
            else []
        )
        found = None if source is None else saved_state.read_state(source)
    except OSError as error:
        raise StoreError(f"the saved states in {store!r} cannot be read: {error}") from error
    if found is None:
        why = f" of its own: {'; '.join(problems)}" if problems else ""
        raise InvalidValueError(
            f"trial {number} of {known.study!r} kept no state{why}; trials that did:"
            f" {', '.join(map(str, kept)) or 'none'}; call run.save or run.save_folder in the training, run"
            " with a larger --keep-checkpoints, or train again with the params in starts.params"
        )
    tell_left_out(problems)
    return found
