"""The verbs on a store: their options are parsed, `store_commands` acts. Heavy imports stand inside."""

from __future__ import annotations

import click

from tune_jobs.cli.options import FORMAT, STORE, WholeFrom
from tune_jobs.errors import EXIT_FAILED


@click.command("list")
@STORE
@FORMAT
def list_studies(store: str, form: str) -> None:
    """List the studies of the store."""
    from tune_jobs.cli.store_commands import print_studies

    print_studies(store, form)


@click.command()
@click.argument("study")
@STORE
@FORMAT
@click.option(
    "--top",
    type=WholeFrom(min=1),
    default=10,
    show_default=True,
    help="Trials to show; a front is shown whole.",
)
@click.option(
    "--audit", is_flag=True, help="Compute every proposal and decision anew; exit code 1 if any differs."
)
def show(study: str, store: str, form: str, top: int, audit: bool) -> int:
    """Show STUDY: its best trials, how trials ended, what the rungs decided, where the seconds went."""
    if audit:
        from tune_jobs.cli.store_commands import print_audit

        return 0 if print_audit(store, study) else EXIT_FAILED
    from tune_jobs.cli.run_commands import print_study

    print_study(store, study, form, top=top)
    return 0


@click.command()
@click.argument("study")
@click.argument("trial", type=WholeFrom(min=0))
@STORE
@FORMAT
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option(
    "--data-dir", help="Folder of the data sets that are not embedded.", envvar="TUNE_JOBS_DATA_DIR"
)
def replay(study: str, trial: int, store: str, form: str, device: str, data_dir: str | None) -> int:
    """Train TRIAL (its number) of STUDY again and compare its reports; exit code 1 if any differs."""
    from tune_jobs.cli.store_commands import print_replay

    same = print_replay(store, study, trial, form, device=device, data_dir=data_dir)
    return 0 if same else EXIT_FAILED


@click.command()
@click.argument("study")
@click.argument("trial", type=WholeFrom(min=0))
@STORE
@click.option("--output", metavar="NAME", required=True, help="File to write: NAME.pt, .pt2 or .onnx.")
def export(study: str, trial: int, store: str, output: str) -> None:
    """Write the trained network of TRIAL (its number) of STUDY to a file, in fp32, by its suffix.

    .pt is for eml_models.load_trained, .pt2 a program of torch.export, .onnx for onnxruntime (needs the
    extra onnx). Each takes images with the values that the data set stores (digits 0 to 16, the other
    shipped sets 0 to 255), standardises them itself, and carries input shape, range, mean, std, class names,
    recipe and data fingerprint. .pt2 and .onnx take float32 images (N, C, H, W), any N.

    Loading a .pt2 may run code: load those that you or people you trust have written.
    """
    from tune_jobs.cli.store_commands import export_trial

    export_trial(store, study, trial, output)


@click.command()
@click.argument("studies", metavar="[STUDY]...", nargs=-1)
@STORE
@FORMAT
@click.option("--output", metavar="STORE", help="Write a compacted copy to another store and change nothing.")
def compact(studies: tuple[str, ...], store: str, form: str, output: str | None) -> int:
    """Make the many files of STUDY (default: all) few; readers may go on reading meanwhile.

    A study that is being written, or is damaged, is left as it is and named; then the exit code is 1.
    """
    from tune_jobs.cli.store_commands import compact as compact_asked

    return 0 if compact_asked(store, studies, form, output=output) else EXIT_FAILED


@click.command()
@click.argument("study")
@STORE
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown what would be lost.")
def repair(study: str, store: str, yes: bool) -> int:
    """Show what is damaged in STUDY and what would be lost with it; with --yes, go on without it.

    A damaged study is not run on. The damaged files are kept, as they are, in the store's _wal/damaged/. The
    exit code is 1 as long as something is damaged.
    """
    from tune_jobs.cli.store_commands import repair as repair_asked

    return 0 if repair_asked(store, study, yes=yes) else EXIT_FAILED


@click.command()
@click.argument("study")
@STORE
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(study: str, store: str, yes: bool) -> int:
    """Delete STUDY from the store, with its weights and rows.

    Files that others put there stay and are named. The exit code is 1 as long as something of the study could
    not be removed; the same command again goes on.
    """
    from tune_jobs.cli.store_commands import delete as delete_asked

    return 0 if delete_asked(store, study, yes=yes) else EXIT_FAILED


@click.command()
@click.argument("sql")
@STORE
@FORMAT
def query(sql: str, store: str, form: str) -> None:
    """Answer a SQL query over the views trials, reports, starts, events, studies and latencies. Read-only.

    Example: tune-jobs query "select number, objective from trials order by objective desc limit 5"
    """
    from tune_jobs.cli.store_commands import print_answer

    print_answer(store, sql, form)


@click.command()
@click.argument("study")
@STORE
@FORMAT
@click.option("--top", type=WholeFrom(min=1), help="Rows of the first table.")
@click.option("--by", metavar="FACTOR", help="The table of one factor alone, also as JSON or CSV.")
def report(study: str, store: str, form: str, top: int | None, by: str | None) -> None:
    """Report STUDY with intervals: finalists and baselines, a grid's cells and factors, a search's best.

    JSON and CSV hold the first table.
    """
    from tune_jobs.cli.store_commands import print_report

    print_report(store, study, form, top=top, by=by)
