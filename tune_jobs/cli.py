"""The command line. Parses, calls, prints; every decision is made elsewhere.

stdout is data, stderr is talk. Heavy imports stand inside the commands, so that ``--help`` answers at once.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from eml_models.errors import EmlError
from tune_jobs.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, exit_code

FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="How data on stdout is written.",
)
STORE = click.option(
    "--store",
    default="trials",
    envvar="TUNE_JOBS_STORE",
    show_default=True,
    help="Folder or bucket (s3://...) of the trial store (also TUNE_JOBS_STORE).",
)


def main() -> int:
    """Run the command line; returns the exit code. A user's error is shown without a traceback."""
    try:
        result = cli.main(standalone_mode=False, prog_name="tune-jobs")
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except click.Abort:
        return EXIT_INTERRUPTED
    except EmlError as error:
        click.echo(f"error: {error}", err=True)
        return exit_code(error)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python flushes stdout at exit; the reader has gone
        return 0


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tune-jobs")
def cli() -> None:
    """Search hyperparameters and architectures: Ray schedules, Optuna proposes, ASHA stops, Parquet keeps.

    STUDY is a shipped name (see `tune-jobs run --help`), package.module:function or file.py:function.
    """


@cli.command()
@click.argument("study")
@STORE
@FORMAT
@click.option("--name", help="Name of the study in the store; the default is the study's own.")
@click.option("--trials", type=int, help="Trials to train, those of earlier runs included.")
@click.option("--epochs", type=int, help="Epochs of a full trial.")
@click.option("--seed", type=int, help="Root of all seeds of the study.")
@click.option("--dataset", help="digits, mnist, fashion_mnist, cifar10 or a registered one.")
@click.option(
    "--data-dir", help="Folder of the data sets that are not embedded.", envvar="TUNE_JOBS_DATA_DIR"
)
@click.option("--download", is_flag=True, help="Download a missing data set into --data-dir.")
@click.option(
    "--objectives",
    metavar="A,B",
    help="What is searched for, for instance val_accuracy,macs; several give a front.",
)
@click.option("--sampler", help="tpe, random or grid.")
@click.option("--no-asha", is_flag=True, help="Train every trial to its last epoch.")
@click.option("--precision", help="fp32, bf16 or fp16.")
@click.option("--fix", multiple=True, metavar="NAME=VALUE", help="Hold a parameter at a value (repeatable).")
@click.option("--max-macs", metavar="N", help="Refuse networks above N MACs: 30M, 1.3e8, 0.5*resnet18.")
@click.option("--min-macs", metavar="N", help="Refuse networks below N MACs.")
@click.option("--max-parameters", metavar="N", help="Refuse networks above N parameters.")
@click.option("--workers", type=int, help="Trials at a time; the default is what the resources allow.")
@click.option(
    "--cpus-per-trial", type=int, default=1, show_default=True, help="CPU cores and threads of a trial."
)
@click.option(
    "--gpus-per-trial", type=float, help="GPUs of a trial, fractions allowed; the default is 1 if any."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--address", envvar="RAY_ADDRESS", help="A running Ray cluster (also RAY_ADDRESS); default: local."
)
@click.option(
    "--max-failures", type=int, default=2, show_default=True, help="Worker crashes a trial survives."
)
@click.option(
    "--max-failed-in-a-row", type=int, default=5, show_default=True, help="Failed trials that end the run."
)
@click.option(
    "--max-device-hours",
    type=float,
    help="Hours that trials may hold their workers, over all runs of the study.",
)
@click.option(
    "--checkpoint-period",
    "checkpoint_period_s",
    type=float,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Training time after which a trial is saved again; 0 saves each epoch.",
)
@click.option(
    "--keep-checkpoints", type=int, default=3, show_default=True, help="Best trials that keep their weights."
)
@click.option(
    "--max-checkpoint-gb", type=float, metavar="GB", help="Size of the weights that the study may keep."
)
@click.option(
    "--trial-timeout",
    "trial_timeout_s",
    type=float,
    metavar="SECONDS",
    help="Time without a report after which a trial is taken for hung and tried again.",
)
@click.option(
    "--enqueue", metavar="FILE", help="Points to try first: JSON or CSV; what they leave out is drawn."
)
@click.option("--retry-failed", is_flag=True, help="Try the trials that failed again, each as a new trial.")
@click.option(
    "--warm-start", metavar="NAME", help="Learn from the trials of another study: NAME or STORE::NAME."
)
@click.option(
    "--rename", is_flag=True, help="If the study's definition has changed, run it as NAME-2, NAME-3, ..."
)
@click.option(
    "--scale",
    type=click.Choice(["full", "smoke"]),
    default="full",
    show_default=True,
    help="smoke: as NAME-smoke, so small that it ends in minutes on a CPU with the data at hand.",
)
@click.option("--dry-run", is_flag=True, help="Print the resolved study and stop.")
def run(study: str, form: str, dry_run: bool, **options: Any) -> int:
    """Run STUDY, or continue it if the store holds it.

    Shipped studies: digits-recipes, digits-grid, mnist-recipes, fashion-mnist-recipes, cifar10-recipes,
    digits-mobilenet, mobilenet, digits-front, fashion-mnist-front, digits-families, families, lab-mnist,
    lab-cifar10, lab-macs-130m, lab-macs-30m.
    """
    from tune_jobs.commands import print_dry_run, print_outcome, resolve
    from tune_jobs.report.progress import progress_line

    resolved, settings, code = resolve(study, options)
    if dry_run:
        print_dry_run(resolved, settings)
        return 0
    from tune_jobs.on_ray.runner import run_study

    with progress_line() as on_progress:
        outcome = run_study(resolved, settings, code=code, on_progress=on_progress)
    print_outcome(outcome, form, again=_again())
    return EXIT_INTERRUPTED if outcome.interrupted else 0


LIKE_RUN = frozenset(
    {
        "address", "checkpoint_period_s", "cpus_per_trial", "data_dir", "device", "download", "dry_run",
        "form", "gpus_per_trial", "keep_checkpoints", "max_checkpoint_gb", "max_device_hours",
        "max_failed_in_a_row", "max_failures", "name", "rename", "retry_failed", "scale", "store",
        "trial_timeout_s", "workers",
    }
)  # fmt: skip
"""Options of `run` that a study of finalists takes too: how it is run, not what it is."""


def _like_run(command: click.Command) -> click.Command:
    command.params += [parameter for parameter in run.params if parameter.name in LIKE_RUN]
    return command


@_like_run
@cli.command()
@click.argument("study")
@click.option("--top", type=int, default=3, show_default=True, help="So many of the best trials.")
@click.option(
    "--front", is_flag=True, help="All trials that no other is better than (in MACs too), instead of --top."
)
@click.option("--repeats", type=int, help="Seeds of each; the default is 5, at the smoke scale 3.")
@click.option("--epochs", type=int, help="Epochs of each; the default is three times the search's.")
@click.option(
    "--baseline",
    multiple=True,
    metavar="NETWORK",
    help="Compare with it: resnet18 (default), resnet18:width=16,learning_rate=0.05 (repeatable).",
)
def finalists(study: str, form: str, dry_run: bool, **options: Any) -> int:
    """Train the best of STUDY longer on train + validation images, and test each once: study STUDY-final.

    The same command continues it. The table is that of `report STUDY-final`.
    """
    from tune_jobs.commands import print_dry_run
    from tune_jobs.final_commands import print_finalists, resolve_finalists
    from tune_jobs.report.progress import progress_line

    resolved, settings, code = resolve_finalists(study, options)
    if dry_run:
        print_dry_run(resolved, settings)
        return 0
    from tune_jobs.on_ray.runner import run_study

    with progress_line() as on_progress:
        outcome = run_study(resolved, settings, code=code, on_progress=on_progress)
    print_finalists(outcome, form, again=_again())
    return EXIT_INTERRUPTED if outcome.interrupted else 0


@cli.command()
@click.argument("study")
@STORE
@FORMAT
@click.option("--top", type=click.IntRange(min=1), help="Rows of the first table.")
@click.option("--by", metavar="FACTOR", help="The table of one factor alone, also as JSON or CSV.")
def report(study: str, store: str, form: str, top: int | None, by: str | None) -> None:
    """Report STUDY with intervals: finalists and baselines, a grid's cells and factors, a search's best.

    JSON and CSV hold the first table.
    """
    from tune_jobs.final_commands import print_report
    from tune_jobs.user_code import stored_name

    print_report(store, stored_name(study), form, top=top, by=by)


@cli.command("list")
@STORE
@FORMAT
def list_studies(store: str, form: str) -> None:
    """List the studies of the store."""
    from tune_jobs.commands import print_problems
    from tune_jobs.report.leaderboard import studies
    from tune_jobs.report.tables import render
    from tune_jobs.store.reader import TrialStore

    opened = TrialStore(store)
    click.echo(render(studies(opened.studies(), opened.trials()), form), nl=False)
    print_problems(opened)


@cli.command()
@click.argument("study")
@STORE
@FORMAT
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Trials to show.")
@click.option(
    "--audit", is_flag=True, help="Compute every proposal and decision anew; exit code 1 if any differs."
)
def show(study: str, store: str, form: str, top: int, audit: bool) -> int:
    """Show STUDY: its best trials, how trials ended, what the rungs decided, where the seconds went."""
    if audit:
        from tune_jobs.study_commands import print_audit

        return 0 if print_audit(store, study) else EXIT_FAILED
    from tune_jobs.commands import print_study

    print_study(store, study, form, top=top)
    return 0


@cli.command()
@click.argument("study")
@click.argument("trial", type=click.IntRange(min=0))
@STORE
@FORMAT
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option(
    "--data-dir", help="Folder of the data sets that are not embedded.", envvar="TUNE_JOBS_DATA_DIR"
)
def replay(study: str, trial: int, store: str, form: str, device: str, data_dir: str | None) -> int:
    """Train TRIAL (its number) of STUDY again and compare its reports; exit code 1 if any differs."""
    from tune_jobs.study_commands import print_replay

    same = print_replay(store, study, trial, form, device=device, data_dir=data_dir)
    return 0 if same else EXIT_FAILED


@cli.command()
@click.argument("study")
@click.argument("trial", type=click.IntRange(min=0))
@STORE
@click.option("--output", required=True, help="File to write.")
def export(study: str, trial: int, store: str, output: str) -> None:
    """Write the weights and the recipe of TRIAL (its number) of STUDY to a file."""
    from tune_jobs.study_commands import export_trial

    export_trial(store, study, trial, output)


@cli.command()
@click.argument("studies", metavar="[STUDY]...", nargs=-1)
@STORE
@FORMAT
@click.option("--output", metavar="STORE", help="Write a compacted copy to another store and change nothing.")
def compact(studies: tuple[str, ...], store: str, form: str, output: str | None) -> int:
    """Make the many files of STUDY (default: all) few; readers may go on reading meanwhile.

    A study that is being written is left as it is and named; then the exit code is 1.
    """
    from tune_jobs.study_commands import compact as compact_asked

    return 0 if compact_asked(store, studies, form, output=output) else EXIT_FAILED


@cli.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@STORE
@FORMAT
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--batch-sizes", metavar="N,N,...", help="Images a call; the default is 1,32 on a CPU, 1,128 on a GPU."
)
@click.option(
    "--modes",
    default="default",
    show_default=True,
    metavar="LIST",
    help="default, all, or modes such as fp32/channels_last/eager/folded, separated by commas.",
)
@click.option("--threads", type=int, default=1, show_default=True, help="Threads on a CPU.")
@click.option("--address", help="A running Ray cluster that measures; default: this machine does.")
def latency(models: tuple[str, ...], store: str, form: str, **options: Any) -> None:
    """Measure how long MODEL takes, explain why, and name its fastest mode.

    MODEL is resnet18, resnet18-35m, mobilenet-130m, mobilenet-30m, FAMILY:OPTION=VALUE,... (such as
    mobilenet:width_mult=0.5) or STUDY/TRIAL of the store. With the default or all modes the time of each
    network is taken apart, and the hypotheses on why fewer MACs may not be faster are judged.

    Example: tune-jobs latency resnet18 mobilenet-130m mobilenet-30m
    """
    from tune_jobs.latency_commands import measure_and_print

    measure_and_print(models, store, form, **options)


@cli.command()
@click.argument("study")
@STORE
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(study: str, store: str, yes: bool) -> None:
    """Delete STUDY from the store, with its rows and weights."""
    from tune_jobs.study_commands import delete as delete_asked

    delete_asked(store, study, yes=yes)


@cli.command()
@click.argument("sql")
@STORE
@FORMAT
def query(sql: str, store: str, form: str) -> None:
    """Answer a SQL query over the views trials, reports, starts, events, studies and latencies. Read-only.

    Example: tune-jobs query "select number, objective from trials order by objective desc limit 5"
    """
    from tune_jobs.commands import print_problems
    from tune_jobs.report.tables import Table, render
    from tune_jobs.store.reader import TrialStore

    opened = TrialStore(store)
    frame = opened.sql(sql)
    rows = tuple(frame.astype(object).itertuples(index=False, name=None))
    click.echo(render(Table(columns=tuple(map(str, frame.columns)), rows=rows), form), nl=False)
    print_problems(opened)


def _again() -> str:
    """The command that was typed, to be shown as the way to go on."""
    import shlex

    return "python -m tune_jobs " + shlex.join(sys.argv[1:])
