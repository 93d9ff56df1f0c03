"""Acts for the verbs that bring back the network of a trial: replay trains again, export writes a file.

`own_commands` does both for own training. Called by `network_verbs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.wording import count_of
from tune_jobs.analysis.replay import (
    COMPARED,
    ReplayedEpoch,
    begin_replay,
    iter_replay,
    require_started,
    stored_trial,
)
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.cli.given_data import require_data_of
from tune_jobs.cli.own_commands import Again, export_own, replay_own, require_own_output, tell_changes
from tune_jobs.cli.telling import put, tell, tell_note
from tune_jobs.cli.trial_words import number_of
from tune_jobs.cli.typed_words import python_command, store_option
from tune_jobs.errors import StoreError
from tune_jobs.inputs.user_code import stored_name
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.store.notes import tell_left_out
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.code_digest import code_digest
from tune_jobs.study.fits import SHIPPED_FITS, fit_recipe
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.study.rows import ReportRow
from tune_jobs.study.stored import NEEDS_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a trial is trained again.

    Attributes:
        dataset: the place of the study's data, if that is a user's files (``arrays:`` or ``folder:``).
    """

    device: str
    data_dir: str | None = None
    dataset: str | None = None


def print_replay(
    store: str,
    name: str,
    trial_word: int | str,
    form: str,
    *,
    place: Place,
    output: str | None = None,
) -> bool:
    """Train a trial again from its row, and print both runs side by side. True if every report agrees.

    Args:
        output: the file to write the network to that was trained again, also if its reports differ; None for
            none.

    Raises:
        InvalidValueError: no such trial was trained, or its study trains by its own function and is not named
            by its code; with `output` also a trial without a report, and a file as `export_trial` refuses it.
        DeployError: the network cannot be written in the form of `output`.
        TuneJobsError: the study's own training function raises.
    """
    import torch

    device, data_dir = place.device, place.data_dir
    known = TrialStore(store).read(stored_name(name))
    number = number_of(trial_word, known)
    if output is not None:
        _require_output_of(known, output)
    trial = stored_trial(known.rows, number, fit=known.definition["fit"])
    if output is not None and not trial.reports:
        raise InvalidValueError(
            f"trial {number} of {known.study!r} has no report, so there is no network to train again; choose"
            " another trial"
        )
    torch.set_num_threads(1)
    if isinstance(trial.recipe, OwnRecipe):
        if place.dataset is not None:
            raise InvalidValueError(
                "--dataset is of a recipe, and this study trains by its own function; leave it out"
            )
        again = Again(words=name, number=number, trial=trial, device=device, data_dir=data_dir)
        return replay_own(again, form, output=output)
    require_data_of(trial.recipe, place.dataset, data_dir)
    tell_changes(trial, device=device, code=code_digest(fit_recipe))
    training = begin_replay(trial, device=device, data_dir=data_dir)
    same = _print_both(list(iter_replay(trial, training, device=device)), form)
    if output is not None:
        _write_replayed(training, output)
        if not same:
            tell_note(f"the network in {output} is not that of the trial: its reports differ from the stored")
    return same


def _print_both(epochs: Sequence[ReplayedEpoch], form: str) -> bool:
    """Print the stored and the repeated reports side by side. True if every report agrees."""
    rows = []
    for epoch in epochs:
        pairs = zip(epoch.stored, epoch.replayed, strict=True)
        rows.append((epoch.epoch, *(value for pair in pairs for value in pair), epoch.equal, epoch.agrees))
    columns = ("epoch", *(f"{name}{kind}" for name in COMPARED for kind in ("", " again")), "equal", "agrees")
    put(render(Table(columns=columns, rows=tuple(rows)), form))
    num_equal = sum(epoch.equal for epoch in epochs)
    num_agreeing = sum(epoch.agrees for epoch in epochs)
    tell(f"{num_equal} of {count_of(len(epochs), 'epoch')} equal to the bit")
    widest = max((epoch.tolerance for epoch in epochs if epoch.tolerance is not None), default=None)
    if widest is not None:
        tell(
            f"{num_agreeing} agree: these CUDA kernels give other last bits each time, so validation"
            f" accuracies may differ by three standard errors, here at most {widest:.4f}. To repeat a study"
            " to the bit, run it with --kernels deterministic"
        )
    return num_agreeing == len(epochs)


def _write_replayed(training: Any, output: str) -> None:
    """Write the network of a training in the form that the file's suffix names."""
    from eml_models.training.snapshot import save_snapshot

    with TemporaryDirectory() as folder:
        source = Path(folder) / "replayed.pt"
        save_snapshot(training.snapshot(), source)
        _write_network(source, output)


def _require_output_of(known: StudySnapshot, output: str) -> None:
    """Check that what a trial of this study trains can be written to this place."""
    if known.definition["train"] is None:
        require_output(output)
    else:
        require_own_output(output, str(known.definition["train"]))


def require_output(output: str) -> None:
    """Check that a network can be written to this file.

    Raises:
        InvalidValueError: an unknown suffix, or a file that exists.
    """
    from eml_models.training.exporting import require_new, require_suffix

    require_suffix(output)
    require_new(output)


def export_trial(store: str, name: str, trial: int | str, output: str) -> None:
    """Write the network of a trial to a file, in the form that the file's suffix names.

    Of own training `export_own` writes what it saved.

    ``.pt`` needs no code of the user; the other suffixes need the code of the network's family.

    Raises:
        InvalidValueError: an unknown suffix; a file that exists or cannot be written; a trial that was never
            trained or kept no weights.
        DeployError: the network cannot be written in this form.
        StoreError: the weights cannot be read.
    """
    opened = TrialStore(store)
    known = opened.read(stored_name(name))
    if known.definition["train"] is not None:
        require_own_output(output, str(known.definition["train"]))
        export_own(str(opened.path), known, number_of(trial, known), output)
        return
    require_output(output)
    number = number_of(trial, known)
    again = f"replay {quote(name)} {number} --output {quote(output)}{store_option(store)}"
    source = _final_weights(str(opened.path), known, number, again=again)
    try:
        _write_network(source, output)
    except UnknownNameError as error:
        raise InvalidValueError(f"the study of trial {number} {NEEDS_CODE.format(error=error)}") from error


def _write_network(source: Path, output: str) -> None:
    """Write the network of a snapshot in the form that the file's suffix names, and say how to use it."""
    from eml_models.training.exporting import SNAPSHOT, export_trained, require_suffix

    suffix = require_suffix(output)
    try:
        facts = export_trained(source, output)
    except OSError as error:
        raise InvalidValueError(
            f"cannot write {output}: {error.strerror or error}; choose another file"
        ) from error
    how = f"; load it with eml_models.load_trained({output!r})" if suffix == SNAPSHOT else ""
    tell(f"wrote {output}{how}; it takes {facts.takes}")


def _final_weights(store: str, known: StudySnapshot, number: int, *, again: str) -> Path:
    """The file with a trial's own weights after its last epoch.

    Args:
        again: the words of the command that trains the trial again and writes its network.
    """
    checkpoints = Checkpoints.of(store, known.study)
    recipes = {row.attempt: row.recipe for row in require_started(known.rows, number)}
    problems: list[str] = []
    try:
        source = next(checkpoints.iter_final(number, recipes, problems), None)
        with_weights = (
            [n for n in checkpoints.numbers() if checkpoints.has_final(n)] if source is None else []
        )
    except OSError as error:
        raise StoreError(f"the weights in {store!r} cannot be read: {error}") from error
    if source is None:
        kept = ", ".join(str(n) for n in with_weights if n != number) or "none"
        why = f" of its own: {'; '.join(problems)}" if problems else ""
        raise InvalidValueError(
            f"trial {number} of {known.study!r} kept no weights{why}; trials that did: {kept}."
            f" {_way_to_weights(known, number, again=again)}. Runs with a larger --keep-checkpoints keep"
            " those of more trials"
        )
    tell_left_out(problems)
    return source


def _way_to_weights(known: StudySnapshot, number: int, *, again: str) -> str:
    """How to get the network of a trial without weights: a sentence without its full stop."""
    fit = known.definition["fit"]
    if fit not in SHIPPED_FITS:
        return f"To train this one again, call {fit} with its recipe, in column recipe of the view starts"
    if not any(isinstance(row, ReportRow) and row.number == number for row in known.rows):
        return "This one has no report, so it has no network either"
    return f"To train this one again and write its network: {python_command()} -m tune_jobs {again}"
