"""The commands on what is stored: audit, replay, export, compact, delete. Called by `tune_jobs.cli`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.wording import count_of
from tune_jobs.audit import audit
from tune_jobs.checkpoints import Checkpoints
from tune_jobs.definition import study_from_definition
from tune_jobs.errors import StoreLockedError
from tune_jobs.replay import COMPARED, iter_replay, list_changes, stored_trial
from tune_jobs.report.tables import Table, render
from tune_jobs.store.compact import compact_into, compact_study
from tune_jobs.store.deletion import delete_study
from tune_jobs.store.reader import TrialStore
from tune_jobs.user_code import stored_name


def print_audit(store: str, name: str) -> bool:
    """Compute every proposal and decision of a study anew; True if all are as the rules say."""
    opened, name = TrialStore(store), stored_name(name)
    study = study_from_definition(name, opened.definition(name))
    result = audit(study, opened.rows(name))
    click.echo(
        f"{count_of(result.num_proposals, 'proposal')} and {count_of(result.num_decisions, 'decision')}"
        f" computed anew: {len(result.differences)} differ"
    )
    for difference in result.differences:
        click.echo(f"  {difference}")
    return not result.differences


def print_replay(store: str, name: str, number: int, form: str, *, device: str, data_dir: str | None) -> bool:
    """Train a trial again from its row; True if every report agrees."""
    import torch

    from tune_jobs.provenance import git_state

    opened, name = TrialStore(store), stored_name(name)
    trial = stored_trial(opened.rows(name), number, fit=opened.definition(name)["fit"])
    commit, _ = git_state(Path.cwd())
    for change in list_changes(trial, git_commit=commit, torch_version=torch.__version__, device=device):
        click.echo(f"note: {change}", err=True)
    torch.set_num_threads(1)
    epochs = list(iter_replay(trial, device=device, data_dir=data_dir))
    rows = []
    for epoch in epochs:
        pairs = zip(epoch.stored, epoch.replayed, strict=True)
        rows.append((epoch.epoch, *(value for pair in pairs for value in pair), epoch.equal, epoch.agrees))
    columns = ("epoch", *(f"{name}{kind}" for name in COMPARED for kind in ("", " again")), "equal", "agrees")
    click.echo(render(Table(columns=columns, rows=tuple(rows)), form), nl=False)
    num_equal = sum(epoch.equal for epoch in epochs)
    num_agreeing = sum(epoch.agrees for epoch in epochs)
    click.echo(f"{num_equal} of {count_of(len(epochs), 'epoch')} equal to the bit", err=True)
    widest = max((epoch.tolerance for epoch in epochs if epoch.tolerance is not None), default=None)
    if widest is not None:
        click.echo(
            f"{num_agreeing} agree: these kernels of CUDA differ in the last bits each time, so validation"
            f" accuracies may differ by three standard errors, at most {widest:.4f} here. A study that is run"
            " with --kernels deterministic repeats to the bit",
            err=True,
        )
    return num_agreeing == len(epochs)


def export_trial(store: str, name: str, number: int, output: str) -> None:
    """Copy the weights of a trial, with its recipe, to a file of its own.

    Raises:
        InvalidValueError: the trial kept no weights, or the file is there already.
    """
    TrialStore(store).definition(name)
    checkpoints = Checkpoints(store=store, study=name)
    source = checkpoints.final(number)
    if source is None:
        kept = ", ".join(str(n) for n in checkpoints.numbers() if checkpoints.has_final(n)) or "none"
        raise InvalidValueError(
            f"trial {number} of {name!r} kept no weights; those that did: {kept} (run with a larger"
            " --keep-checkpoints, or train it again with replay)"
        )
    if Path(output).exists():
        raise InvalidValueError(f"{output} is there already; choose another --output")
    shutil.copyfile(source, output)
    click.echo(f"wrote {output}; load it with eml_models.load_trained({output!r})", err=True)


def compact(store: str, names: Sequence[str], form: str, *, output: str | None = None) -> bool:
    """Compact studies, or all; True if none had to be left out because it is being written.

    Raises:
        UnknownNameError: the store holds no such study.
    """
    known = list(TrialStore(store).studies()["study"])
    for name in names:
        if name not in known:
            raise UnknownNameError("study", name, known)
    rows, left_out = [], 0
    for name in dict.fromkeys(names or known):
        try:
            done = compact_study(store, name) if output is None else compact_into(store, name, output)
        except StoreLockedError as error:
            click.echo(f"left as it is: {error}", err=True)
            left_out += 1
            continue
        rows.append((name, done.num_rows, done.files_before, done.files_after))
        for problem in done.problems:
            click.echo(f"warning: {problem}", err=True)
    columns = ("study", "rows", "files_before", "files_after")
    click.echo(render(Table(columns=columns, rows=tuple(rows)), form), nl=False)
    return not left_out


def delete(store: str, name: str, *, yes: bool) -> None:
    """Remove a study with its rows and weights, after asking.

    Raises:
        UnknownNameError: the store holds no such study.
    """
    opened = TrialStore(store)
    known = list(opened.studies()["study"])
    if name not in known:
        raise UnknownNameError("study", name, known)
    question = f"delete study {name!r} with {count_of(len(opened.trials(name)), 'trial')} from {opened.path}?"
    if not yes:
        click.confirm(question, abort=True, err=True)
    deleted = delete_study(store, name)
    checkpoints = Checkpoints(store=store, study=name)
    checkpoints.remove(checkpoints.numbers())
    click.echo(f"deleted {name!r}: {count_of(deleted.num_files, 'file')}", err=True)
