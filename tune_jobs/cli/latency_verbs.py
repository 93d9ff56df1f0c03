"""The verb `latency`: declares its options; `latency_commands` acts. Heavy imports stand inside."""

from __future__ import annotations

import click

from tune_jobs.cli.completing import ListOf, NetworkWord, OneOrOwn, devices, latency_modes
from tune_jobs.cli.option_values import LatencyOptions
from tune_jobs.cli.shared_options import FORMAT, STORE, Number, Whole, packed


@click.command()
@click.argument("models", type=NetworkWord(), metavar="MODEL...", nargs=-1, required=True)
@STORE
@FORMAT
@click.option(
    "--device",
    type=OneOrOwn(devices),
    default="auto",
    show_default=True,
    metavar="NAME",
    help="auto, cpu, cuda or cuda:N.",
)
@click.option(
    "--batch-sizes", metavar="N,N,...", help="Images in each call; default: 1,32 on a CPU, 1,128 on a GPU."
)
@click.option(
    "--modes",
    type=ListOf(latency_modes),
    default="default",
    show_default=True,
    metavar="LIST",
    help="default, all, or modes with commas between them, such as fp32/channels_last/eager/folded.",
)
@click.option(
    "--input",
    "input_shape",
    metavar="C,H,W",
    help="Shape of the images for all networks; default: that of the first trial, else 3,32,32.",
)
@click.option("--threads", type=Whole(), default=1, show_default=True, metavar="N", help="Threads on a CPU.")
@click.option(
    "--max-minutes",
    type=Number(),
    metavar="N",
    help="End after N minutes, such as 1.5, with the times so far.",
)
@click.option("--address", metavar="URL", help="Running Ray cluster to measure on; default: this machine.")
@packed(LatencyOptions)
def latency(models: tuple[str, ...], store: str, form: str, options: LatencyOptions) -> int:
    """Measure the time of each MODEL and explain it.

    MODEL is resnet18, resnet18-35m, mobilenet-130m, mobilenet-30m, FAMILY:OPTION=VALUE,... (such as
    mobilenet:width_mult=0.5) or STUDY/TRIAL of the store (TRIAL is a number, or best). STUDY may be
    FILE.py:FUNCTION; then the families that this file registers can be measured too. All networks take images
    of one shape, and a trial of another shape is refused.

    The tables name the fastest mode of each network. With the default modes, or all, they also show what
    took the time of each network, and judge hypotheses on why fewer MACs may not be faster. Each round is
    stored when it ends; Ctrl-C and --max-minutes end with tables of the times so far.

    Example: tune-jobs latency resnet18 mobilenet-130m mobilenet-30m
    """
    from tune_jobs.cli.latency_commands import measure_and_print

    return measure_and_print(models, store, form, options)
