"""Acts for `export` of a trial of own training: its saved state, or the folder that it saved.

Called by `store_commands`.
"""

from __future__ import annotations

from pathlib import Path

from eml_models.errors import InvalidValueError
from tune_jobs.analysis.replay import require_started
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.cli.telling import tell
from tune_jobs.errors import StoreError
from tune_jobs.store.notes import tell_left_out
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.worker import saved_state
from tune_jobs.worker.saved_state import SavedState

STATE = ".pt"
"""The suffix of a file with a saved state; a name without a suffix is that of a folder."""


def export_own(store: str, known: StudySnapshot, number: int, output: str) -> None:
    """Write what a trial of own training saved last: its state (``NAME.pt``), or its folder (``NAME``).

    Raises:
        InvalidValueError: another suffix; a place that exists or cannot be written; a trial that was never
            trained, kept nothing, or saved nothing of this kind.
        StoreError: what it saved cannot be read.
    """
    from eml_models.training.exporting import require_new

    is_state = _is_state(output, known)
    require_new(output)
    saved = _last_saved(store, known, number)
    found, other = (saved.state, saved.folder) if is_state else (saved.folder, saved.state)
    if found is None:
        what, instead = ("a folder", "NAME") if other is not None and is_state else ("a state", "NAME.pt")
        raise InvalidValueError(
            f"trial {number} of {known.study!r} saved {what} alone; write it with --output {instead}"
        )
    try:
        if is_state:
            saved_state.write_state(saved, output)
        else:
            saved_state.write_folder(saved, output)
    except OSError as error:
        raise InvalidValueError(
            f"cannot write {output}: {error.strerror or error}; choose another place"
        ) from error
    what = f"what run.save took; load it with torch.load({output!r}, weights_only=True)"
    tell(f"wrote {output}: {what if is_state else 'the files that run.save_folder took'}")


def _is_state(output: str, known: StudySnapshot) -> bool:
    suffix = Path(output).suffix
    if suffix not in (STATE, ""):
        raise InvalidValueError(
            f"study {known.study!r} trains by its own function {known.definition['train']}, which saves a"
            " state or a folder and no network; write the state as NAME.pt or the folder as NAME, got"
            f" {output!r}. To write another form, load the state into your network and export that"
        )
    return suffix == STATE


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
