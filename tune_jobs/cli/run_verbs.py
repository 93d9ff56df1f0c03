"""The verb `run`: its options are parsed, `run_commands` acts. Heavy imports stand inside."""

from __future__ import annotations

import click

from tune_jobs.cli.option_values import RunOptions
from tune_jobs.cli.options import FORMAT, STORE, Number, Whole, packed


@click.command()
@click.argument("study")
@STORE
@FORMAT
@click.option("--name", help="Name of the study in the store; the default is the study's own.")
@click.option("--trials", type=Whole(), help="Trials to train, those of earlier runs included.")
@click.option("--epochs", type=Whole(), help="Epochs of a full trial.")
@click.option("--seed", type=Whole(), help="Root of all seeds of the study.")
@click.option("--dataset", help="digits, mnist, fashion_mnist, cifar10 or a registered one.")
@click.option(
    "--data-dir", help="Folder of the data sets that are not embedded.", envvar="TUNE_JOBS_DATA_DIR"
)
@click.option(
    "--train-samples",
    type=Whole(),
    metavar="N",
    help="Train on N of the training images, a random part that is the same for every trial.",
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
@click.option(
    "--measure-latency",
    is_flag=False,
    flag_value="",
    metavar="[MODE@BATCH]",
    help="Measure each network before it is trained, for instance bf16-weights/channels_last/eager@32.",
)
@click.option(
    "--max-latency-ms", type=Number(), metavar="MS", help="Do not train networks that take longer than MS."
)
@click.option("--workers", type=Whole(), help="Trials at a time; the default is what the resources allow.")
@click.option(
    "--cpus-per-trial", type=Whole(), default=1, show_default=True, help="CPU cores and threads of a trial."
)
@click.option(
    "--gpus-per-trial", help="GPUs of a trial: 0.25, 1, or auto to measure; the default is 1 if any."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--kernels",
    default="default",
    show_default=True,
    help="On CUDA: default, searched (quickest of several) or deterministic (same bits each time).",
)
@click.option(
    "--address", envvar="RAY_ADDRESS", help="A running Ray cluster (also RAY_ADDRESS); default: local."
)
@click.option(
    "--max-failures", type=Whole(), default=2, show_default=True, help="Worker crashes a trial survives."
)
@click.option(
    "--max-failed-in-a-row",
    type=Whole(),
    default=5,
    show_default=True,
    help="Failed trials that end the run.",
)
@click.option(
    "--max-device-hours",
    type=Number(),
    help="Hours that trials may hold their workers, over all runs of the study.",
)
@click.option(
    "--checkpoint-period",
    "checkpoint_period_s",
    type=Number(),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Training time after which a trial is saved again; 0 saves each epoch.",
)
@click.option(
    "--keep-checkpoints",
    type=Whole(),
    default=3,
    show_default=True,
    help="Best trials that keep their weights.",
)
@click.option(
    "--max-checkpoint-gb", type=Number(), metavar="GB", help="Size of the weights that the study may keep."
)
@click.option(
    "--trial-timeout",
    "trial_timeout_s",
    type=Number(),
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
@packed(RunOptions)
def run(study: str, form: str, dry_run: bool, options: RunOptions) -> int:
    """Run STUDY, or continue it if the store holds it.

    Shipped studies: digits-recipes, digits-grid, mnist-recipes, fashion-mnist-recipes, cifar10-recipes,
    digits-mobilenet, mobilenet, digits-front, fashion-mnist-front, digits-families, families, lab-mnist,
    lab-cifar10, lab-macs-130m, lab-macs-30m.
    """
    from tune_jobs.cli.run_commands import run as run_asked

    return run_asked(study, form, options, dry_run=dry_run)
