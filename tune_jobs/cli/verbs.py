"""The command line. Parses, calls, prints; every decision is made elsewhere.

stdout is data, stderr is talk. Heavy imports stand inside the commands, so that ``--help`` answers at once.
Exit codes: 0 done, 1 failed, 2 wrong usage (`tune_jobs.errors` says which), 130 interrupted.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

import tune_jobs
from eml_models.errors import EmlError
from tune_jobs.cli.job_verbs import logs, status, stop, submit
from tune_jobs.cli.options import FORMAT, STORE, Number, Whole, WholeFrom
from tune_jobs.cli.run_verbs import finalists, report, run
from tune_jobs.cli.telling import put, tell
from tune_jobs.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, exit_code
from tune_jobs.store.notes import ONCE


def main() -> int:
    """Run the command line; returns the exit code. A user's error is shown without a traceback."""
    try:
        with _warnings_on_stderr():
            result = cli.main(standalone_mode=False, prog_name="tune-jobs")
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        tell(shown.getvalue().rstrip("\n"))
        return EXIT_USAGE
    except click.Abort:
        return EXIT_INTERRUPTED
    except EmlError as error:
        tell(f"error: {error}")
        return exit_code(error)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python flushes stdout at exit; the reader has gone
        return 0


class _Warnings(logging.Handler):
    """What the packages warn of, a line on stderr.

    What is to be told once is, however often the command meets it.
    """

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, ONCE, False):
            if record.getMessage() in self._told:
                return
            self._told.add(record.getMessage())
        tell(f"{record.levelname.lower()}: {record.getMessage()}")


@contextmanager
def _warnings_on_stderr() -> Iterator[None]:
    handler, logger = _Warnings(logging.WARNING), logging.getLogger("tune_jobs")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _show_version(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked:
        put(f"tune-jobs {tune_jobs.__version__}\n")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Search hyperparameters and architectures: Ray schedules, Optuna proposes, ASHA stops, Parquet keeps.

    STUDY is a shipped name (see `tune-jobs run --help`), package.module:function or file.py:function.
    """


for _command in (run, submit, status, logs, stop, finalists, report):
    cli.add_command(_command)


@cli.command("list")
@STORE
@FORMAT
def list_studies(store: str, form: str) -> None:
    """List the studies of the store."""
    from tune_jobs.report.leaderboard import LAST_RUNS_SQL, studies, studies_for_people
    from tune_jobs.report.tables import render
    from tune_jobs.store.reader import TrialStore

    opened = TrialStore(store)
    last_runs = opened.sql(LAST_RUNS_SQL)
    found = studies(
        opened.studies(), opened.trials(), dict(zip(last_runs["study"], last_runs["how"], strict=True))
    )
    put(render(studies_for_people(found) if form == "table" else found, form))


@cli.command()
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
        from tune_jobs.cli.study_commands import print_audit

        return 0 if print_audit(store, study) else EXIT_FAILED
    from tune_jobs.cli.commands import print_study

    print_study(store, study, form, top=top)
    return 0


@cli.command()
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
    from tune_jobs.cli.study_commands import print_replay

    same = print_replay(store, study, trial, form, device=device, data_dir=data_dir)
    return 0 if same else EXIT_FAILED


@cli.command()
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
    from tune_jobs.cli.study_commands import export_trial

    export_trial(store, study, trial, output)


@cli.command()
@click.argument("studies", metavar="[STUDY]...", nargs=-1)
@STORE
@FORMAT
@click.option("--output", metavar="STORE", help="Write a compacted copy to another store and change nothing.")
def compact(studies: tuple[str, ...], store: str, form: str, output: str | None) -> int:
    """Make the many files of STUDY (default: all) few; readers may go on reading meanwhile.

    A study that is being written, or is damaged, is left as it is and named; then the exit code is 1.
    """
    from tune_jobs.cli.study_commands import compact as compact_asked

    return 0 if compact_asked(store, studies, form, output=output) else EXIT_FAILED


@cli.command()
@click.argument("study")
@STORE
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown what would be lost.")
def repair(study: str, store: str, yes: bool) -> int:
    """Show what is damaged in STUDY and what would be lost with it; with --yes, go on without it.

    A damaged study is not run on. The damaged files are kept, as they are, in the store's _wal/damaged/. The
    exit code is 1 as long as something is damaged.
    """
    from tune_jobs.cli.study_commands import repair as repair_asked

    return 0 if repair_asked(store, study, yes=yes) else EXIT_FAILED


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
@click.option(
    "--input",
    "input_shape",
    metavar="C,H,W",
    help="Images of all networks: channels, height, width; default: the first trial's, else 3,32,32.",
)
@click.option("--threads", type=Whole(), default=1, show_default=True, help="Threads on a CPU.")
@click.option(
    "--max-minutes",
    type=Number(),
    metavar="N",
    help="End after N minutes, such as 1.5, with what was measured.",
)
@click.option("--address", help="A running Ray cluster that measures; default: this machine does.")
def latency(models: tuple[str, ...], store: str, form: str, **options: Any) -> int:
    """Measure how long MODEL takes, explain why, and name its fastest mode.

    MODEL is resnet18, resnet18-35m, mobilenet-130m, mobilenet-30m, FAMILY:OPTION=VALUE,... (such as
    mobilenet:width_mult=0.5) or STUDY/TRIAL of the store, where STUDY may be FILE.py:FUNCTION: what
    that file registers can then be measured too. With the default or all modes the time of each
    network is taken apart, and the hypotheses on why fewer MACs may not be faster are judged.
    All are measured on images of one shape; a trial of another shape is refused. Each round is stored
    when it ends; Ctrl-C and --max-minutes end with tables of what was measured.

    Example: tune-jobs latency resnet18 mobilenet-130m mobilenet-30m
    """
    from tune_jobs.cli.latency_commands import measure_and_print

    return measure_and_print(models, store, form, **options)


@cli.command()
@click.argument("study")
@STORE
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(study: str, store: str, yes: bool) -> int:
    """Delete STUDY from the store, with its weights and rows.

    Files that others put there stay and are named. The exit code is 1 as long as something of the study could
    not be removed; the same command again goes on.
    """
    from tune_jobs.cli.study_commands import delete as delete_asked

    return 0 if delete_asked(store, study, yes=yes) else EXIT_FAILED


@cli.command()
@click.argument("sql")
@STORE
@FORMAT
def query(sql: str, store: str, form: str) -> None:
    """Answer a SQL query over the views trials, reports, starts, events, studies and latencies. Read-only.

    Example: tune-jobs query "select number, objective from trials order by objective desc limit 5"
    """
    from tune_jobs.report.tables import Table, render
    from tune_jobs.store.reader import TrialStore

    opened = TrialStore(store)
    frame = opened.sql(sql)
    rows = tuple(frame.astype(object).itertuples(index=False, name=None))
    put(render(Table(columns=tuple(map(str, frame.columns)), rows=rows), form))
