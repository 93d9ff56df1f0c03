"""The command line as one program: its group of verbs, and its exit codes.

stdout is data, stderr is talk. Heavy imports stand inside the verbs, so that ``--help`` answers at once.
Exit codes: 0 done, 1 failed, 2 wrong usage (`tune_jobs.errors` says which), 130 interrupted. Called by
``python -m tune_jobs`` and the installed ``tune-jobs``.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

import tune_jobs
from eml_models.errors import EmlError
from tune_jobs.cli import (
    board_verbs,
    finalists_verbs,
    job_verbs,
    latency_verbs,
    network_verbs,
    run_verbs,
    store_verbs,
    upkeep_verbs,
)
from tune_jobs.cli.telling import put, tell
from tune_jobs.cli.verb_groups import GroupedVerbs
from tune_jobs.errors import EXIT_INTERRUPTED, EXIT_USAGE, exit_code
from tune_jobs.on_ray.jobs.versions import require_same_version
from tune_jobs.on_ray.leaving import has_left
from tune_jobs.store.notes import ONCE


def main() -> int:
    """Run the command line; returns the exit code. A user's error is shown without a traceback.

    If a Ray has died meanwhile, the process ends here with that code.
    """
    code = _run()
    if has_left():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # nobody reads it any more
                stream.flush()
        os._exit(code)
    return code


def _run() -> int:
    try:
        require_same_version()
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
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - the terminal was closed
        return EXIT_INTERRUPTED


class _Warnings(logging.Handler):
    """Writes the warnings of the packages to stderr, each on a line.

    A warning marked `ONCE` is written once, however often it arrives.
    """

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._written: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, ONCE, False):
            if record.getMessage() in self._written:
                return
            self._written.add(record.getMessage())
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


@click.group(cls=GroupedVerbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Search the hyperparameters of any training, and architectures of image models.

    Ray schedules the trials, Optuna proposes them, ASHA stops weak ones early, and a store of Parquet files
    keeps them all. STUDY is a shipped name (see `tune-jobs run --help`), or package.module:NAME or
    file.py:NAME, where NAME is a Study or a function that returns one.
    """


VERBS = {
    "Search": (run_verbs.run, finalists_verbs.finalists),
    "Results": (
        *(store_verbs.list_studies, store_verbs.show, store_verbs.report, board_verbs.board),
        store_verbs.query,
    ),
    "Networks": (network_verbs.replay, network_verbs.export, latency_verbs.latency),
    "Jobs of a cluster": (job_verbs.submit, job_verbs.status, job_verbs.logs, job_verbs.stop),
    "Upkeep of a store": (upkeep_verbs.compact, upkeep_verbs.repair, upkeep_verbs.delete),
}
"""The verbs under the headings of the help."""

for _heading, _verbs in VERBS.items():
    cli.add_verbs(_heading, _verbs)
