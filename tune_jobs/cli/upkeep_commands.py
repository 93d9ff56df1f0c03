"""Acts for the verbs that change a store: compact, repair, delete. Called by `upkeep_verbs`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from eml_models.errors import UnknownNameError
from eml_models.wording import count_of, harmless
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.cli.telling import put, say, tell
from tune_jobs.errors import StoreCorruptError, StoreLockedError
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.store.format.definitions import is_known
from tune_jobs.store.notes import tell_left_out
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.compact import compact_into, compact_study
from tune_jobs.store.upkeep.deletion import delete_study
from tune_jobs.store.upkeep.repair import plan_repair, repair_study


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
