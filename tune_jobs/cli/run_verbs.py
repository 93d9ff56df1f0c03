"""The verb `run`: declares its options; `run_commands` acts. Heavy imports stand inside the function."""

from __future__ import annotations

import click

from tune_jobs.cli.completing import (
    ListOf,
    OneOf,
    OneOrOwn,
    StudyName,
    datasets,
    devices,
    executions,
    kernels,
    objectives,
    precisions,
    samplers,
)
from tune_jobs.cli.option_groups import GroupedCommand
from tune_jobs.cli.option_values import RunOptions
from tune_jobs.cli.shared_options import (
    DATA_DIR,
    FORMAT,
    STORE,
    Number,
    Whole,
    complete_files,
    packed,
)


@click.command(cls=GroupedCommand)
@click.argument("study", type=StudyName(shipped=True))
@STORE
@FORMAT
@click.option("--name", metavar="NAME", help="Name of the study in the store; default: the study's own.")
@click.option("--trials", type=Whole(), metavar="N", help="Trials to train, including those of earlier runs.")
@click.option("--epochs", type=Whole(), metavar="N", help="Epochs of a full trial.")
@click.option("--seed", type=Whole(), metavar="N", help="Root of all seeds of the study.")
@click.option(
    "--dataset",
    type=OneOrOwn(datasets),
    metavar="NAME",
    help="digits, mnist, fashion_mnist, cifar10, a data set of your own, or your files without code:"
    " arrays:FILE.npz or folder:DIR.",
)
@DATA_DIR
@click.option(
    "--train-samples",
    type=Whole(),
    metavar="N",
    help="Train on N training images, the same share of each class, drawn at random once for all trials.",
)
@click.option("--download", is_flag=True, help="Download the data set into --data-dir if it is missing.")
@click.option(
    "--objectives",
    type=ListOf(objectives),
    metavar="A,B",
    help="Metrics to search for, such as val_accuracy,macs; several give a front.",
)
@click.option("--sampler", type=OneOf(samplers), help="Method of proposing trials; default: the study's own.")
@click.option("--no-asha", is_flag=True, help="Stop no trial early: train each to its last epoch.")
@click.option(
    "--precision",
    type=OneOf(precisions),
    help="Numbers to train with; default: the study's own, mostly fp32.",
)
@click.option("--fix", multiple=True, metavar="NAME=VALUE", help="Hold a parameter at a value (repeatable).")
@click.option("--max-macs", metavar="N", help="Refuse networks above N MACs: 30M, 1.3e8, 0.5*resnet18.")
@click.option("--min-macs", metavar="N", help="Refuse networks below N MACs.")
@click.option("--max-parameters", metavar="N", help="Refuse networks above N parameters.")
@click.option(
    "--measure-latency",
    is_flag=False,
    flag_value="",
    metavar="[MODE@BATCH]",
    help="Time each network before training, such as bf16-weights/channels_last/eager@32.",
)
@click.option(
    "--max-latency-ms", type=Number(), metavar="MS", help="Refuse networks that take longer than MS."
)
@click.option("--workers", type=Whole(), metavar="N", help="Trials at a time; default: as many as fit.")
@click.option(
    "--cpus-per-trial",
    type=Whole(),
    default=1,
    show_default=True,
    metavar="N",
    help="CPU cores and threads of a trial.",
)
@click.option(
    "--gpus-per-trial",
    metavar="SHARE",
    help="GPUs of a trial: 0.25, 1, or auto to measure; default: 1 if there is a GPU.",
)
@click.option(
    "--device",
    type=OneOf(devices),
    default="auto",
    show_default=True,
    help="Device to train on; auto takes a GPU if there is one.",
)
@click.option(
    "--kernels",
    type=OneOf(kernels),
    default="default",
    show_default=True,
    help="Choice of CUDA kernels: searched takes the fastest of several, deterministic repeats to the bit.",
)
@click.option(
    "--execution",
    type=OneOf(executions),
    default="auto",
    show_default=True,
    help="Steps on CUDA: auto replays each as a graph where that is possible, eager launches each operator.",
)
@click.option(
    "--address",
    envvar="RAY_ADDRESS",
    metavar="URL",
    help="Running Ray cluster to use (also RAY_ADDRESS); default: Ray on this machine.",
)
@click.option(
    "--max-failures",
    type=Whole(),
    default=2,
    show_default=True,
    metavar="N",
    help="Worker crashes after which a trial is still tried again.",
)
@click.option(
    "--max-failed-in-a-row",
    type=Whole(),
    default=5,
    show_default=True,
    metavar="N",
    help="Failed trials in a row that end the run.",
)
@click.option(
    "--max-device-hours",
    type=Number(),
    metavar="HOURS",
    help="Limit on the hours of all workers together, over all runs of the study.",
)
@click.option(
    "--checkpoint-period",
    "checkpoint_period_s",
    type=Number(),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Save a trial after this much training; 0 saves after each epoch.",
)
@click.option(
    "--keep-checkpoints",
    type=Whole(),
    default=3,
    show_default=True,
    metavar="N",
    help="How many of the best trials keep their weights.",
)
@click.option(
    "--max-checkpoint-gb",
    type=Number(),
    metavar="GB",
    help="Limit on the size of all weights that the study keeps.",
)
@click.option(
    "--trial-timeout",
    "trial_timeout_s",
    type=Number(),
    metavar="SECONDS",
    help="Take a trial for hung, and try it again, after this time without a report.",
)
@click.option(
    "--enqueue",
    metavar="FILE",
    help="Points to try first (JSON or CSV); params that they lack are drawn.",
    shell_complete=complete_files,
)
@click.option("--retry-failed", is_flag=True, help="Try each failed trial again, as a new trial.")
@click.option(
    "--warm-start",
    type=StudyName(),
    metavar="NAME",
    help="Learn from the trials of another study: NAME or STORE::NAME.",
)
@click.option(
    "--rename", is_flag=True, help="If the study's definition has changed, run it as NAME-2 (or -3, ...)."
)
@click.option(
    "--scale",
    type=click.Choice(["full", "smoke"]),
    default="full",
    show_default=True,
    help="smoke: run a small NAME-smoke that ends in minutes on a CPU, with the data at hand.",
)
@click.option(
    "--inline",
    is_flag=True,
    help="Train in this process, one trial after the other, without Ray: to try, to debug.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what would run and how long it takes (JSON: the whole study); run nothing.",
)
@packed(RunOptions)
def run(study: str, form: str, inline: bool, dry_run: bool, options: RunOptions) -> int:
    """Run STUDY, or continue it if the store holds it.

    \b
    Shipped studies:
      digits-recipes, digits-grid, mnist-recipes, fashion-mnist-recipes,
      cifar10-recipes, digits-mobilenet, mobilenet, digits-front,
      fashion-mnist-front, digits-families, families,
      lab-mnist, lab-cifar10, lab-macs-130m, lab-macs-30m
    """
    from tune_jobs.cli.run_commands import run as run_asked

    return run_asked(study, form, options, inline=inline, dry_run=dry_run)
