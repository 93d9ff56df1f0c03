"""The verb `latency`: its options are parsed, `latency_commands` acts. Heavy imports stand inside."""

from __future__ import annotations

import click

from tune_jobs.cli.option_values import LatencyOptions
from tune_jobs.cli.options import FORMAT, STORE, Number, Whole, packed


@click.command()
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
@packed(LatencyOptions)
def latency(models: tuple[str, ...], store: str, form: str, options: LatencyOptions) -> int:
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

    return measure_and_print(models, store, form, options)
