"""The commands that train: `run` and `finalists`, and the `report` on what came of it.

Parses and calls, like `tune_jobs.cli`, which adds them to its group; heavy imports stand inside.
"""

from __future__ import annotations

from typing import Any

import click

from tune_jobs.cli.options import FORMAT, STORE, Number, Whole, WholeFrom, typed_command
from tune_jobs.errors import EXIT_INTERRUPTED


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
def run(study: str, form: str, dry_run: bool, **options: Any) -> int:
    """Run STUDY, or continue it if the store holds it.

    Shipped studies: digits-recipes, digits-grid, mnist-recipes, fashion-mnist-recipes, cifar10-recipes,
    digits-mobilenet, mobilenet, digits-front, fashion-mnist-front, digits-families, families, lab-mnist,
    lab-cifar10, lab-macs-130m, lab-macs-30m.
    """
    from tune_jobs.cli.commands import print_dry_run, print_note, print_outcome, resolve
    from tune_jobs.report.progress import show_progress

    resolved, settings, code = resolve(study, options)
    if dry_run:
        print_dry_run(resolved, settings)
        return 0
    from tune_jobs.on_ray.runner import run_study

    with show_progress() as on_progress:
        outcome = run_study(resolved, settings, code=code, on_progress=on_progress, on_note=print_note)
    print_outcome(outcome, form, again=typed_command())
    return EXIT_INTERRUPTED if outcome.interrupted else 0


LIKE_RUN = frozenset(
    {
        "address", "checkpoint_period_s", "cpus_per_trial", "data_dir", "device", "download", "dry_run",
        "form", "gpus_per_trial", "keep_checkpoints", "kernels", "max_checkpoint_gb", "max_device_hours",
        "max_failed_in_a_row", "max_failures", "name", "rename", "retry_failed", "scale", "store",
        "trial_timeout_s", "workers",
    }
)  # fmt: skip
"""Options of `run` that a study of finalists takes too: how it is run, not what it is."""


def _like_run(command: click.Command) -> click.Command:
    command.params += [parameter for parameter in run.params if parameter.name in LIKE_RUN]
    return command


@_like_run
@click.command()
@click.argument("study")
@click.option("--top", type=Whole(), default=3, show_default=True, help="So many of the best trials.")
@click.option(
    "--front", is_flag=True, help="All trials that no other is better than (in MACs too), instead of --top."
)
@click.option("--repeats", type=Whole(), help="Seeds of each; the default is 5, at the smoke scale 3.")
@click.option("--epochs", type=Whole(), help="Epochs of each; the default is three times the search's.")
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
    from tune_jobs.cli.commands import print_dry_run, print_note
    from tune_jobs.cli.final_commands import print_finalists, resolve_finalists
    from tune_jobs.report.progress import show_progress

    resolved, settings, code = resolve_finalists(study, options)
    if dry_run:
        print_dry_run(resolved, settings)
        return 0
    from tune_jobs.on_ray.runner import run_study

    with show_progress() as on_progress:
        outcome = run_study(resolved, settings, code=code, on_progress=on_progress, on_note=print_note)
    print_finalists(outcome, form, again=typed_command())
    return EXIT_INTERRUPTED if outcome.interrupted else 0


@click.command()
@click.argument("study")
@STORE
@FORMAT
@click.option("--top", type=WholeFrom(min=1), help="Rows of the first table.")
@click.option("--by", metavar="FACTOR", help="The table of one factor alone, also as JSON or CSV.")
def report(study: str, store: str, form: str, top: int | None, by: str | None) -> None:
    """Report STUDY with intervals: finalists and baselines, a grid's cells and factors, a search's best.

    JSON and CSV hold the first table.
    """
    from tune_jobs.cli.final_commands import print_report
    from tune_jobs.user_code import stored_name

    print_report(store, stored_name(study), form, top=top, by=by)
