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
    "--gpus-per-trial", help="GPUs of a trial: 0.25, 2, or auto to measure; the default is 1 if any."
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
@click.option("--dry-run", is_flag=True, help="Print the resolved study and stop.")
def run(study: str, form: str, dry_run: bool, **options: Any) -> int:
    """Run STUDY, or continue it if the store holds it.

    Shipped studies: digits-recipes, digits-grid, mnist-recipes, fashion-mnist-recipes, cifar10-recipes,
    digits-mobilenet, mobilenet.
    """
    from tune_jobs.commands import print_dry_run, print_outcome, resolve
    from tune_jobs.report.progress import show_progress

    resolved, settings, code = resolve(study, options)
    if dry_run:
        print_dry_run(resolved, settings)
        return 0
    from tune_jobs.on_ray.runner import run_study

    with show_progress() as on_progress:
        outcome = run_study(resolved, settings, code=code, on_progress=on_progress)
    print_outcome(outcome, form, again=_again())
    return EXIT_INTERRUPTED if outcome.interrupted else 0


ADDRESS = click.option(
    "--address",
    envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"],
    metavar="URL",
    help="The cluster's dashboard (also RAY_API_SERVER_ADDRESS); the default is http://127.0.0.1:8265.",
)


@cli.command()
@click.argument("study")
@ADDRESS
@click.option(
    "--working-dir", default=".", show_default=True, help="Folder that the job runs in; it is uploaded."
)
@click.option("--no-wait", is_flag=True, help="Return when the job is submitted; do not follow its log.")
@click.pass_context
def submit(
    context: click.Context,
    /,
    study: str,
    address: str | None,
    working_dir: str,
    no_wait: bool,
    **options: Any,
) -> int:
    """Run STUDY as a job of a cluster, show its log, and exit as it does.

    Takes the options of `run` and passes them on; --store is a folder that every node sees, or a bucket.
    """
    from tune_jobs.job_commands import given_words
    from tune_jobs.job_commands import submit as submit_asked

    words = given_words(context, run, working_dir)
    return submit_asked(study, words, options, address=address, folder=working_dir, wait=not no_wait)


_own = {parameter.name for parameter in submit.params} | {"dry_run"}
submit.params += [parameter for parameter in run.params if parameter.name not in _own]


@cli.command()
@click.argument("study", required=False)
@ADDRESS
@FORMAT
def status(study: str | None, address: str | None, form: str) -> None:
    """List the jobs of a cluster that run studies, or the job of STUDY (a name or a job's id)."""
    from tune_jobs.job_commands import print_status

    print_status(address, study, form)


@cli.command()
@click.argument("study")
@ADDRESS
@click.option("--follow", "-f", is_flag=True, help="Go on until the job ends, and exit as it does.")
def logs(study: str, address: str | None, follow: bool) -> int:
    """Show what the job of STUDY (a name or a job's id) has written."""
    from tune_jobs.job_commands import print_logs

    return print_logs(address, study, follows=follow)


@cli.command()
@click.argument("study")
@ADDRESS
def stop(study: str, address: str | None) -> int:
    """End the job of STUDY (a name or a job's id) in order; submitting it again goes on."""
    from tune_jobs.job_commands import stop as stop_asked

    return stop_asked(address, study)


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
    """Answer a SQL query over the views trials, reports, starts, events and studies. Read-only.

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
