"""Acts for the verbs on a store: list, show, report, query, replay, export, compact, repair, delete.

`trial_commands` shows a single trial. Called by `store_verbs`; the end of a run shows its study here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any

import click

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.wording import count_of, harmless
from tune_jobs.analysis.audit import audit
from tune_jobs.analysis.replay import (
    COMPARED,
    begin_replay,
    iter_replay,
    require_started,
    stored_trial,
)
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.cli.given_data import require_data_of
from tune_jobs.cli.own_commands import Again, export_own, replay_own, require_own_output, tell_changes
from tune_jobs.cli.telling import put, say, tell, tell_note
from tune_jobs.cli.trial_commands import say_last_failure
from tune_jobs.cli.trial_words import number_of
from tune_jobs.cli.typed_words import python_command, store_option
from tune_jobs.errors import StoreCorruptError, StoreError, StoreLockedError
from tune_jobs.inputs.user_code import stored_name
from tune_jobs.report.documents import (
    audit_lines,
    pivot_document,
    report_document,
    store_document,
    store_notes,
    study_document,
    study_notes,
)
from tune_jobs.report.formats import TABLE
from tune_jobs.report.last_runs import NO_END
from tune_jobs.report.leaderboard import STUDIES_SQL
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.store.format.definitions import is_known
from tune_jobs.store.notes import tell_left_out
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.store.upkeep.compact import compact_into, compact_study
from tune_jobs.store.upkeep.deletion import delete_study
from tune_jobs.store.upkeep.repair import plan_repair, repair_study
from tune_jobs.study.code_digest import code_digest
from tune_jobs.study.fits import SHIPPED_FITS, fit_recipe
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.study.rows import ReportRow
from tune_jobs.study.stored import NEEDS_CODE, study_from_definition

INSTANT_TYPE = "TIMESTAMP"
INSTANTS = f"a {INSTANT_TYPE} is an instant in UTC; it carries no zone"


def print_studies(store: str, form: str) -> None:
    """Print the studies of a store as a table; below it, for people, which of them run or were killed."""
    opened = TrialStore(store)
    holds = {name: opened.hold(name) for name in opened.studies()["study"]}
    found = opened.sql(STUDIES_SQL)
    for name in found["study"][found["how"] == NO_END]:
        holds[name] = holds.get(name) or opened.hold(name)  # a run may have begun during the query
    put(render(store_document(found, holds, form), form))
    if form == TABLE:
        for note in store_notes(found, holds):
            tell_note(note)


def print_study(store: str, name: str, form: str, *, top: int = 10, with_log: bool = False) -> None:
    """Print the tables of one study. JSON and CSV hold only the first, so that they are one table.

    Args:
        with_log: whether people also get the end of the log of the trial that failed last.
    """
    known = TrialStore(store).read(stored_name(name))
    for table in study_document(known, form, top=top):
        put(render(table, form))
    if with_log and form == TABLE:
        say_last_failure(store, known)
    for note in study_notes(known):
        tell(note)


def print_pivot(store: str, name: str, form: str, names: Sequence[str]) -> None:
    """Print the objective of a study by the levels of parameters.

    Raises:
        UnknownNameError: no such study, or no such parameter in it.
        InvalidValueError: a parameter has no levels, no trial has a value, or the study compares finalists.
    """
    known = TrialStore(store).read(stored_name(name))
    put(render(pivot_document(known, form, names), form))


def print_report(store: str, name: str, form: str, *, top: int | None, by: Sequence[str]) -> None:
    """Print the tables of a study with intervals. Forms but text hold the first, or that of the factors `by`.

    Raises:
        UnknownNameError: no such study, or no such factor in it.
        InvalidValueError: none of its trials has ended, or finalists are asked for a factor.
    """
    known = TrialStore(store).read(stored_name(name))
    for table in report_document(known, form, top=top, by=by):
        put(render(table, form))


def print_answer(store: str, sql: str, form: str) -> None:
    """Print the answer of a store to a query, as a table. A list of columns gets a note on instants."""
    answer = TrialStore(store).answer(sql)
    put(render(Table(columns=answer.columns, rows=answer.rows), form))
    if "column_type" in answer.columns:  # the answer to `describe`
        at = answer.columns.index("column_type")
        if any(row[at] == INSTANT_TYPE for row in answer.rows):
            tell_note(INSTANTS)


def print_audit(store: str, name: str) -> bool:
    """Compute every proposal and decision of a study again, and print the differences. True if there is none.

    Raises:
        StoreCorruptError: some of its rows are damaged, and an audit needs all of them.
    """
    known = TrialStore(store).read(stored_name(name), whole=True)
    result = audit(study_from_definition(known.study, known.definition), known.rows)
    for line in [*audit_lines(result), *study_notes(known)]:
        say(line)
    return not result.differences


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
    epochs = list(iter_replay(trial, training, device=device))
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
    if output is not None:
        _write_replayed(training, output)
        if num_agreeing < len(epochs):
            tell_note(f"the network in {output} is not that of the trial: its reports differ from the stored")
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


def compact(store: str, names: Sequence[str], form: str, *, output: str | None = None) -> bool:
    """Compact studies, or all. True if none was left as it is, because it is being written or is damaged.

    Raises:
        UnknownNameError: the store holds no such study.
    """
    opened = TrialStore(store)
    known = list(opened.studies()["study"])
    for name in names:
        if name not in known:
            raise UnknownNameError("study", name, known)
    rows, left_out = [], 0
    for name in dict.fromkeys(names or known):
        try:
            done = compact_study(store, name) if output is None else compact_into(store, name, output)
        except (StoreLockedError, StoreCorruptError) as error:
            tell(f"left as it is: {error}")
            left_out += 1
            continue
        rows.append((name, done.num_rows, done.files_before, done.files_after))
        tell_left_out(done.problems)
    columns = ("study", "rows", "files_before", "files_after")
    put(render(Table(columns=columns, rows=tuple(rows)), form))
    return not left_out


def delete(store: str, name: str, *, yes: bool) -> bool:
    """Remove a study with its weights, logs and rows, after a question. True if nothing of the study is left.

    Raises:
        UnknownNameError: the store holds no such study.
    """
    opened = TrialStore(store)
    if not is_known(store, name):
        raise UnknownNameError("study", name, list(opened.studies()["study"]))
    question = f"delete study {name!r} with {_count_trials(opened, name)} from {opened.path}?"
    if not yes:
        click.confirm(harmless(question), abort=True, err=True)
    weights, logs = Checkpoints(store=store, study=name), Logs(store=store, study=name)
    deleted = delete_study(store, name, first=lambda: weights.remove_all() + logs.remove_all())
    for one in deleted.foreign:
        tell(f"left as it is: {one}")
    if deleted.failed:
        for problem in deleted.failed:
            tell(f"not removed: {problem}")
        tell(
            f"study {name!r} is not fully deleted: {count_of(deleted.num_files, 'file')} removed, but not"
            " those named above; mend the cause and run the same command again, which removes the rest"
        )
        return False
    tell(f"deleted {name!r}: {count_of(deleted.num_files, 'file')}")
    return True


def _count_trials(opened: TrialStore, name: str) -> str:
    """The number of a study's trials in words, or that its definition is damaged."""
    try:
        return count_of(opened.count_trials(name), "trial")
    except StoreCorruptError:
        return "a damaged definition"


def repair(store: str, name: str, *, yes: bool) -> bool:
    """Print the rows that a repair of a study loses; with `yes`, repair it. True if no damage is left.

    Raises:
        UnknownNameError: the store holds no such study.
    """
    opened = TrialStore(store)
    done = repair_study(store, name) if yes else plan_repair(store, name)
    tell_left_out(done.left_out)
    if not done.damage:
        say(f"study {name!r} of {opened.path} has no damage: {count_of(done.num_kept, 'row')}")
        return True
    say(f"damage in study {name!r} of {opened.path}:")
    for line in done.damage:
        say(f"  - {line}")
    rows = ", ".join(f"{count} of {table}" for table, count in sorted(done.lost_rows.items()))
    say(f"{'lost' if yes else 'would be lost'}:")
    say(f"  - rows counted in the damaged places: {rows or 'none'}")
    say(f"  - acknowledged rows whose seq is missing: {done.num_missing}")
    say(f"  - all rows of trials: {_numbers(done.lost_trials)}")
    say(f"  - some rows of trials: {_numbers(done.hurt_trials)}")
    say(f"{'kept' if yes else 'would be kept'}: {count_of(done.num_kept, 'row')}")
    for path in done.aside:
        say(f"set aside unchanged: {path}")
    if not yes:
        tell("nothing was changed; run the same command with --yes to repair the study")
    return yes


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
