"""The commands on one stored study or trial: audit, replay, export, delete. Called by `tune_jobs.cli`."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from eml_models.errors import InvalidValueError, UnknownNameError
from tune_jobs.audit import audit
from tune_jobs.checkpoints import Checkpoints
from tune_jobs.definition import study_from_definition
from tune_jobs.replay import COMPARED, iter_replay, list_changes, stored_trial
from tune_jobs.report.tables import Table, render
from tune_jobs.store.deletion import delete_study
from tune_jobs.store.reader import TrialStore


def print_audit(store: str, name: str) -> bool:
    """Compute every proposal and decision of a study anew; True if all are as the rules say."""
    opened = TrialStore(store)
    study = study_from_definition(name, opened.definition(name))
    result = audit(study, opened.rows(name))
    click.echo(
        f"{result.num_proposals} proposals and {result.num_decisions} decisions computed anew:"
        f" {len(result.differences)} differ"
    )
    for difference in result.differences:
        click.echo(f"  {difference}")
    return not result.differences


def print_replay(store: str, name: str, number: int, form: str, *, device: str, data_dir: str | None) -> bool:
    """Train a trial again from its row; True if every report is equal to the bit."""
    import torch

    from tune_jobs.provenance import git_state

    opened = TrialStore(store)
    trial = stored_trial(opened.rows(name), number, fit=opened.definition(name)["fit"])
    commit, _ = git_state(Path.cwd())
    for change in list_changes(trial, git_commit=commit, torch_version=torch.__version__, device=device):
        click.echo(f"note: {change}", err=True)
    torch.set_num_threads(1)
    epochs = list(iter_replay(trial, device=device, data_dir=data_dir))
    rows = []
    for epoch in epochs:
        pairs = zip(epoch.stored, epoch.replayed, strict=True)
        rows.append((epoch.epoch, *(value for pair in pairs for value in pair), epoch.equal))
    columns = ("epoch", *(f"{name}{kind}" for name in COMPARED for kind in ("", " again")), "equal")
    click.echo(render(Table(columns=columns, rows=tuple(rows)), form), nl=False)
    same = all(epoch.equal for epoch in epochs)
    num_equal = sum(epoch.equal for epoch in epochs)
    click.echo(f"{num_equal} of {len(epochs)} epochs are equal to the bit", err=True)
    return same


def export_trial(store: str, name: str, number: int, output: str) -> None:
    """Copy the weights of a trial, with its recipe, to a file of its own.

    Raises:
        InvalidValueError: the trial kept no weights, or the file is there already.
    """
    TrialStore(store).definition(name)
    checkpoints = Checkpoints(store=store, study=name)
    source = checkpoints.final(number)
    if source is None:
        kept = ", ".join(str(n) for n in checkpoints.numbers() if checkpoints.final(n)) or "none"
        raise InvalidValueError(
            f"trial {number} of {name!r} kept no weights; those that did: {kept} (run with a larger"
            " --keep-checkpoints, or train it again with replay)"
        )
    if Path(output).exists():
        raise InvalidValueError(f"{output} is there already; choose another --output")
    shutil.copyfile(source, output)
    click.echo(f"wrote {output}; load it with eml_models.load_trained({output!r})", err=True)


def delete(store: str, name: str, *, yes: bool) -> None:
    """Remove a study with its rows and weights, after asking.

    Raises:
        UnknownNameError: the store holds no such study.
    """
    opened = TrialStore(store)
    known = list(opened.studies()["study"])
    if name not in known:
        raise UnknownNameError("study", name, known)
    question = f"delete study {name!r} with {len(opened.trials(name))} trials from {opened.path}?"
    if not yes:
        click.confirm(question, abort=True, err=True)
    deleted = delete_study(store, name)
    checkpoints = Checkpoints(store=store, study=name)
    checkpoints.remove(checkpoints.numbers())
    click.echo(f"deleted {name!r}: {deleted.num_files} files", err=True)
