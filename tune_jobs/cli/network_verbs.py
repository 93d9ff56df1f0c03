"""The verbs on the network of a trial: declare their options; `network_commands` acts."""

from __future__ import annotations

import click

from tune_jobs.cli.completing import OneOf, StudyName, TrialNumber, devices_of_a_process
from tune_jobs.cli.shared_options import DATA_DIR, FORMAT, STORE, complete_files
from tune_jobs.errors import EXIT_FAILED


@click.command()
@click.argument("study", type=StudyName())
@click.argument("trial", type=TrialNumber())
@STORE
@FORMAT
@click.option(
    "--device",
    type=OneOf(devices_of_a_process),
    default="cpu",
    show_default=True,
    help="Device to train on.",
)
@DATA_DIR
@click.option(
    "--dataset",
    metavar="NAME",
    help="Where the study's data lies now, if it is your files: arrays:FILE.npz or folder:DIR.",
)
@click.option(
    "--output",
    metavar="NAME",
    help="Write the network too, as `export` does: NAME.pt, NAME.pt2 or NAME.onnx.",
    shell_complete=complete_files,
)
def replay(
    study: str,
    trial: int | str,
    store: str,
    form: str,
    device: str,
    data_dir: str | None,
    dataset: str | None,
    output: str | None,
) -> int:
    """Train a trial of STUDY again and compare its reports.

    TRIAL is the number of the trial, or best. The exit code is 1 if any report differs. With --output, this
    gives the network of a trial that kept no weights, after as many epochs as the trial trained.
    """
    from tune_jobs.cli.network_commands import Place, print_replay

    place = Place(device=device, data_dir=data_dir, dataset=dataset)
    same = print_replay(store, study, trial, form, place=place, output=output)
    return 0 if same else EXIT_FAILED


@click.command()
@click.argument("study", type=StudyName())
@click.argument("trial", type=TrialNumber())
@STORE
@click.option(
    "--output",
    metavar="NAME",
    required=True,
    help="File to write: NAME.pt, NAME.pt2 or NAME.onnx.",
    shell_complete=complete_files,
)
def export(study: str, trial: int | str, store: str, output: str) -> None:
    """Write the trained network of a trial of STUDY to a file.

    TRIAL is the number of the trial, or best. The suffix of the file says its form: .pt for
    eml_models.load_trained, .pt2 for a program of torch.export, .onnx for onnxruntime (needs the extra onnx).
    The weights are fp32.

    The network takes images with the values that the data set stores (digits 0 to 16, the other shipped sets
    0 to 255) and standardises them itself. .pt2 and .onnx take float32 images (N, C, H, W) with any N. The
    file also holds input shape, range, mean, std, class names, recipe and data fingerprint.

    Loading a .pt2 may run code: load only files from people whom you trust.

    Of own training NAME.pt holds what the trial saved last by run.save, and NAME without a suffix is a folder
    with what it saved by run.save_folder.
    """
    from tune_jobs.cli.network_commands import export_trial

    export_trial(store, study, trial, output)
