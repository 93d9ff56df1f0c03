"""The verbs on a store: declare their options; `store_commands` acts. Heavy imports stand inside them."""

from __future__ import annotations

import click

from tune_jobs.cli.completing import OneOf, Sql, StudyName, TrialNumber, devices_of_a_process
from tune_jobs.cli.shared_options import FORMAT, STORE, StorePath, WholeFrom, complete_files, complete_folders
from tune_jobs.errors import EXIT_FAILED
from tune_jobs.report.formats import REPORT_FORMATS, TABLE


@click.command("list")
@STORE
@FORMAT
def list_studies(store: str, form: str) -> None:
    """List the studies of the store."""
    from tune_jobs.cli.store_commands import print_studies

    print_studies(store, form)


@click.command()
@click.argument("study", type=StudyName())
@click.argument("trial", type=WholeFrom(min=0), required=False)
@STORE
@FORMAT
@click.option(
    "--top",
    type=WholeFrom(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="How many trials to show; a front is shown whole.",
)
@click.option(
    "--audit",
    is_flag=True,
    help="Compute every proposal and decision again, and compare; exit code 1 if any differs.",
)
@click.option("--log", is_flag=True, help="Print only what TRIAL printed: the whole log of each attempt.")
def show(study: str, trial: int | None, store: str, form: str, top: int, audit: bool, log: bool) -> int:
    """Show the best trials of STUDY, how trials ended, and why.

    Further tables give the trials that run, the decisions at each rung and the classes of worker-seconds.
    JSON and CSV hold the first table.

    With TRIAL, the number of a trial, show that trial: params, recipe, curve, decisions, attempts, and the
    end of its log. JSON is one object, with the whole logs, and CSV is the curve.
    """
    if trial is None and log:
        raise click.UsageError("--log needs the number of a trial: show STUDY TRIAL --log")
    if trial is not None and audit:
        raise click.UsageError("--audit is for a whole study: leave out the number of the trial")
    if trial is not None:
        from tune_jobs.cli.trial_commands import print_log, print_trial

        print_log(store, study, trial) if log else print_trial(store, study, trial, form)
        return 0
    if audit:
        from tune_jobs.cli.store_commands import print_audit

        return 0 if print_audit(store, study) else EXIT_FAILED
    from tune_jobs.cli.store_commands import print_study

    print_study(store, study, form, top=top, with_log=True)
    return 0


@click.command()
@click.argument("study", type=StudyName())
@click.argument("trial", type=TrialNumber())
@STORE
@FORMAT
@click.option(
    "--device",
    type=OneOf(devices_of_a_process),
    default="cpu",
    show_default=True,
    help="Device to train on.",
)
@click.option(
    "--data-dir",
    metavar="DIR",
    help="Folder with the data sets, except digits (also TUNE_JOBS_DATA_DIR); default: data.",
    envvar="TUNE_JOBS_DATA_DIR",
    shell_complete=complete_folders,
)
@click.option(
    "--dataset",
    metavar="NAME",
    help="Where the study's data lies now, if it is your files: arrays:FILE.npz or folder:DIR.",
)
@click.option(
    "--output",
    metavar="NAME",
    help="Write the network too, as `export` does: NAME.pt, NAME.pt2 or NAME.onnx.",
    shell_complete=complete_files,
)
def replay(
    study: str,
    trial: int | str,
    store: str,
    form: str,
    device: str,
    data_dir: str | None,
    dataset: str | None,
    output: str | None,
) -> int:
    """Train a trial of STUDY again and compare its reports.

    TRIAL is the number of the trial, or best. The exit code is 1 if any report differs. With --output, this
    gives the network of a trial that kept no weights, after as many epochs as the trial trained.
    """
    from tune_jobs.cli.store_commands import Place, print_replay

    place = Place(device=device, data_dir=data_dir, dataset=dataset)
    same = print_replay(store, study, trial, form, place=place, output=output)
    return 0 if same else EXIT_FAILED


@click.command()
@click.argument("study", type=StudyName())
@click.argument("trial", type=TrialNumber())
@STORE
@click.option(
    "--output",
    metavar="NAME",
    required=True,
    help="File to write: NAME.pt, NAME.pt2 or NAME.onnx.",
    shell_complete=complete_files,
)
def export(study: str, trial: int | str, store: str, output: str) -> None:
    """Write the trained network of a trial of STUDY to a file.

    TRIAL is the number of the trial, or best. The suffix of the file says its form: .pt for
    eml_models.load_trained, .pt2 for a program of torch.export, .onnx for onnxruntime (needs the extra onnx).
    The weights are fp32.

    The network takes images with the values that the data set stores (digits 0 to 16, the other shipped sets
    0 to 255) and standardises them itself. .pt2 and .onnx take float32 images (N, C, H, W) with any N. The
    file also holds input shape, range, mean, std, class names, recipe and data fingerprint.

    Loading a .pt2 may run code: load only files from people whom you trust.

    Of own training NAME.pt holds what the trial saved last by run.save, and NAME without a suffix is a folder
    with what it saved by run.save_folder.
    """
    from tune_jobs.cli.store_commands import export_trial

    export_trial(store, study, trial, output)


@click.command()
@click.argument("studies", type=StudyName(), metavar="[STUDY]...", nargs=-1)
@STORE
@FORMAT
@click.option(
    "--output",
    type=StorePath(),
    metavar="STORE",
    help="Write the compacted copy to another store and leave this one as it is.",
    shell_complete=complete_folders,
)
def compact(studies: tuple[str, ...], store: str, form: str, output: str | None) -> int:
    """Merge the many small files of STUDY (default: all) into few.

    Others may read the store meanwhile. A study that is being written, or is damaged, stays as it is; its
    name is printed and the exit code is 1.
    """
    from tune_jobs.cli.store_commands import compact as compact_asked

    return 0 if compact_asked(store, studies, form, output=output) else EXIT_FAILED


@click.command()
@click.argument("study", type=StudyName())
@STORE
@click.option("--yes", is_flag=True, help="Repair the study; without --yes nothing is changed.")
def repair(study: str, store: str, yes: bool) -> int:
    """Show the damage in STUDY; with --yes, repair the study.

    A damaged study cannot be continued. A repair loses the rows of the damaged files and keeps all others;
    without --yes the rows that would be lost are listed. The damaged files move to the store's _wal/damaged/
    unchanged. The exit code is 1 as long as there is damage.
    """
    from tune_jobs.cli.store_commands import repair as repair_asked

    return 0 if repair_asked(store, study, yes=yes) else EXIT_FAILED


@click.command()
@click.argument("study", type=StudyName())
@STORE
@click.option("--yes", is_flag=True, help="Delete without asking.")
def delete(study: str, store: str, yes: bool) -> int:
    """Delete STUDY from the store, with its weights, logs and rows.

    Files in its folders that are not the store's own stay, and their names are printed. The exit code is 1 if
    something of the study could not be removed; the same command removes the rest.
    """
    from tune_jobs.cli.store_commands import delete as delete_asked

    return 0 if delete_asked(store, study, yes=yes) else EXIT_FAILED


@click.command()
@click.argument("sql", type=Sql())
@STORE
@FORMAT
def query(sql: str, store: str, form: str) -> None:
    """Answer a SQL query over the rows of the store.

    SQL is the query itself, - for a query on stdin, or @FILE for a query in a file. The views are trials,
    reports, starts, events, studies and latencies. A query can only read. "describe trials" lists columns.
    Instants are in UTC and carry no zone.

    Example: tune-jobs query "select number, objective from trials order by objective desc limit 5"
    """
    from tune_jobs.cli.store_commands import print_answer
    from tune_jobs.inputs.sql_texts import read_sql

    print_answer(store, read_sql(sql), form)


def names_of(text: str) -> list[str]:
    """The names between commas."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise click.UsageError(f"--pivot must be names with commas between them, such as A,B, got {text!r}")
    return names


@click.command()
@click.argument("study", type=StudyName())
@STORE
@click.option(
    "--format",
    "form",
    type=click.Choice(REPORT_FORMATS),
    default=TABLE,
    show_default=True,
    help="Form of the data on stdout.",
)
@click.option("--top", type=WholeFrom(min=1), metavar="N", help="How many rows of the first table to show.")
@click.option(
    "--by",
    multiple=True,
    metavar="FACTOR",
    help="Show only the table of this factor, a param (repeatable: all combinations of the factors).",
)
@click.option(
    "--pivot",
    metavar="A,B",
    help="Show one table, the objective by the levels of params: rows by A, columns by B.",
)
@click.option(
    "--html", metavar="FILE", help="Write a page of the study to this file: findings, figures, their data."
)
@click.option(
    "--pictures", metavar="DIR", help="Write the figures of the study to this folder, as SVG and PNG."
)
def report(
    study: str,
    store: str,
    form: str,
    top: int | None,
    by: tuple[str, ...],
    pivot: str | None,
    html: str | None,
    pictures: str | None,
) -> None:
    """Compare the trials of STUDY, with intervals.

    For finalists: each network against the baselines. For a grid: its cells and its factors. For a search:
    its best trials. All forms but table hold the first table alone.

    With --pivot each cell has the mean of its trials, its 95 % interval and the number of trials. markdown
    and latex are ready to paste; latex needs no package.

    With --html or --pictures it prints no table, and writes a page that needs no network, or pictures.
    """
    if html is not None or pictures is not None:
        if by or top is not None or pivot is not None:
            raise click.UsageError("--html and --pictures write it all: leave --by, --top and --pivot out")
        from tune_jobs.cli.picture_commands import write_pictures

        write_pictures(store, study, page=html, folder=pictures)
        return
    if pivot is not None:
        if by or top is not None:
            raise click.UsageError("--pivot is a table of its own: leave --by and --top out")
        from tune_jobs.cli.store_commands import print_pivot

        print_pivot(store, study, form, names_of(pivot))
        return
    from tune_jobs.cli.store_commands import print_report

    print_report(store, study, form, top=top, by=by)
