"""The verb board: declares its options; `board_commands` acts."""

from __future__ import annotations

from typing import Any

import click

from tune_jobs.cli.completing import StudyName
from tune_jobs.cli.shared_options import STORE, Whole, complete_files

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8642


class Port(Whole):
    """A port of this machine; 0 for a free one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not 0 <= number <= 65_535:
            self.fail(f"a port is a number from 0 (a free one) to 65535, got {number}", param, ctx)
        return number


@click.command()
@click.argument("study", type=StudyName(), required=False)
@STORE
@click.option(
    "--host",
    default=DEFAULT_HOST,
    show_default=True,
    metavar="NAME",
    help="Address to listen at; 0.0.0.0 takes all. If other machines reach it, it needs a token.",
)
@click.option(
    "--port",
    type=Port(),
    default=DEFAULT_PORT,
    show_default=True,
    metavar="N",
    help="Port to listen at; 0 takes a free one.",
)
@click.option(
    "--token-file",
    metavar="FILE",
    shell_complete=complete_files,
    help="File with the token that viewers must give (also the variable TUNE_JOBS_BOARD_TOKEN).",
)
@click.option(
    "--optuna",
    is_flag=True,
    help="Show STUDY in Optuna's own dashboard instead (needs the extra optuna-dashboard).",
)
def board(study: str | None, store: str, host: str, port: int, token_file: str | None, optuna: bool) -> int:
    """Show STUDY in a browser, and keep the page new during a run.

    The page has the figures and findings of `report --html`, the trials that run, and the logs of attempts.
    The run may be of another process or machine, and the store in a bucket. Without STUDY it begins with the
    list of the studies. It only reads, and nothing leaves this machine.

    The address is the first line on stdout. Ctrl-C ends the board.

    On loopback it needs no token unless one is given. With --host it does: without a token of your own one is
    made and shown once on stderr. The connection is not encrypted; an ssh tunnel to loopback is the safer way
    from another machine.
    """
    if optuna and study is None:
        raise click.UsageError("--optuna shows one study: name it, as in `board STUDY --optuna`")
    from tune_jobs.cli.board_commands import BoardOptions, show_board

    return show_board(
        store, study, BoardOptions(host=host, port=port, token_file=token_file, with_optuna=optuna)
    )
