"""`export` on a store with studies that were really trained: every form takes the stored images."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from cli_testing import Cli
from trained_studies import train_into

from eml_models import load_trained
from eml_models.data.datasets import (
    DatasetSpec,
    RawDataset,
    known_datasets,
    read_dataset,
    register_dataset,
    unregister_dataset,
)
from eml_models.data.splits import split_indices
from eml_models.networks.registry import known_models, unregister_model
from eml_models.training.recipe import Recipe
from tune_jobs import TrialStore
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.cli import network_commands
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.inputs.user_code import load_study
from tune_jobs.session.state_machine import Session
from tune_jobs.store.upkeep.deletion import delete_study
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.fits import fit_and_test
from tune_jobs.study.objective import Objective

RECIPE = Recipe(model="small_cnn", learning_rate=0.05, epochs=3, max_train_samples=400)
OWN = f"{Path(__file__).parents[3] / 'examples' / 'my_study.py'}:my_study"


def read_stripes(folder: Path, download: bool) -> RawDataset:
    """Bytes 0 to 255 in noise: stripes that lie or stand."""
    random = np.random.default_rng(5)
    labels = np.arange(800) % 2
    images = random.normal(128, 50, (800, 1, 10, 10))
    images[labels == 0, :, ::2] += 25
    images[labels == 1, :, :, ::2] += 25
    images = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    return RawDataset(
        train_images=images[:600],
        train_labels=labels[:600],
        test_images=images[600:],
        test_labels=labels[600:],
    )


STRIPES = DatasetSpec(name="stripes", input_shape=(1, 10, 10), num_classes=2, read=read_stripes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with one trial each: on the digits, on bytes 0 to 255, of a user's own code, and a finalist."""
    folder = tmp_path_factory.mktemp("exporting")
    store, study = str(folder / "trials"), digits_recipes()
    one = study.with_changes(recipe=RECIPE, trials=1, asha=None)
    train_into(store, one.with_changes(name="on-digits"))
    register_dataset(STRIPES)
    train_into(store, one.with_changes(name="on-bytes", recipe=RECIPE.with_changes(dataset="stripes")))
    unregister_dataset("stripes")
    final = RECIPE.with_changes(train_on="train_and_validation", max_train_samples=None)
    chooses_nothing = (Objective(metric="test_accuracy"),)
    tested = one.with_changes(fit=fit_and_test, objectives=chooses_nothing, sampler="random")
    train_into(store, tested.with_changes(name="on-digits-final", recipe=final))
    own, code = load_study(OWN)
    train_into(store, own.with_changes(recipe=own.recipe.with_changes(epochs=1), trials=1, asha=None))
    assert code is not None
    forget(code.module)
    yield folder
    forget(code.module)


def forget(module: str) -> None:
    """As if no command had loaded the example."""
    sys.modules.pop(module, None)
    if "residual_cnn" in known_models():
        unregister_model("residual_cnn")
    if "odd_or_even" in known_datasets():
        unregister_dataset("odd_or_even")


def logits_of(path: Path, images: Any) -> Any:
    """What an exported file says of raw images, by nothing but what reads that kind of file."""
    if path.suffix == ".pt":
        return load_trained(path)(torch.from_numpy(images)).detach().numpy()
    as_floats = images.astype(np.float32)
    if path.suffix == ".pt2":
        return torch.export.load(str(path)).module()(torch.from_numpy(as_floats)).detach().numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": as_floats})[0]


@pytest.mark.parametrize("suffix", [".pt", ".pt2", ".onnx"])
@pytest.mark.parametrize("study", ["on-digits", "on-bytes"])
def test_exported_trial_scores_on_raw_images_what_the_study_says(
    cli: Cli, folder: Path, study: str, suffix: str
) -> None:
    code, out, err = cli("export", study, "0", "--output", f"{study}{suffix}")
    assert (code, out) == (0, ""), err
    message = "1, 8, 8) with the stored values of digits, 0 to 16"
    if study == "on-bytes":
        message = "1, 10, 10) with the stored values of stripes, 0 to 255"
    assert f"wrote {study}{suffix}" in err
    assert f"it takes images (N, {message}; the network standardises them itself" in err
    raw = read_dataset("digits") if study == "on-digits" else read_stripes(Path(), False)
    assert raw.train_images.max() == (16 if study == "on-digits" else 255)
    _, held_out = split_indices(raw.train_labels, RECIPE.validation_fraction)
    found = logits_of(folder / f"{study}{suffix}", raw.train_images[held_out]).argmax(1)
    accuracy = (found == raw.train_labels[held_out]).mean()
    (said,) = TrialStore("trials").trials(study)["objective"]
    assert said > 0.6
    assert accuracy == pytest.approx(said, abs=1 / len(held_out))


@pytest.mark.parametrize("suffix", [".pt", ".pt2", ".onnx"])
def test_exported_finalist_scores_on_raw_test_images_what_its_study_says(
    cli: Cli, folder: Path, suffix: str
) -> None:
    assert cli("export", "on-digits-final", "0", "--output", f"final{suffix}")[0] == 0
    raw, reports = read_dataset("digits"), TrialStore("trials").reports("on-digits-final")
    said = reports.sort_values("epoch")["test_accuracy"].iloc[-1]
    found = logits_of(folder / f"final{suffix}", raw.test_images).argmax(1)
    assert (found == raw.test_labels).mean() == pytest.approx(said, abs=1 / len(raw.test_labels))


def test_network_of_a_users_own_code_is_exported_by_its_code(cli: Cli, folder: Path) -> None:
    code, _, err = cli("export", "odd-or-even", "0", "--output", "own.onnx")
    assert code == 2
    assert "needs parts that its own code registers: unknown model 'residual_cnn'" in err
    assert "FILE.py:FUNCTION" in err
    assert cli("export", "odd-or-even", "0", "--output", "own.pt")[0] == 0  # as it is: no code is needed
    assert cli("export", OWN, "0", "--output", "own.onnx")[0] == 0
    session = onnxruntime.InferenceSession(str(folder / "own.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["class_names"] == '["even", "odd"]'


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("net", "a network's file must end in .pt, .pt2 or .onnx, got 'net'"),
        ("net.pth", "got 'net.pth'"),
        ("nowhere/net.pt", "got 'nowhere/net.pt': there is no folder 'nowhere'; make it"),
        ("nowhere/net.pt2", "got 'nowhere/net.pt2': there is no folder 'nowhere'; make it"),
        ("there.onnx/net.pt", "there is no folder 'there.onnx'; make it, or choose another file"),
        ("there.onnx", "there.onnx exists already; choose another file"),
    ],
)
def test_file_that_cannot_be_is_refused(cli: Cli, folder: Path, output: str, says: str) -> None:
    (folder / "there.onnx").touch()
    code, out, err = cli("export", "on-digits", "0", "--output", output)
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err


def test_torn_weights_are_named(cli: Cli, folder: Path) -> None:
    source = Checkpoints(store=str(folder / "trials"), study="on-bytes").folder(0) / "final-1.pt"
    whole = source.read_bytes()
    source.write_bytes(whole[:1000])
    for suffix in (".pt", ".onnx"):
        code, _, err = cli("export", "on-bytes", "0", "--output", f"torn{suffix}")
        assert code == 2
        assert "is not a snapshot, or is damaged" in err
        assert not (folder / f"torn{suffix}").exists()
    source.write_bytes(whole)


def forget_weights(folder: Path, study: str) -> None:
    """Remove the weights of a study's trial, as the retention does with all but the best."""
    for file in Checkpoints(store=str(folder / "trials"), study=study).folder(0).glob("final-*.pt"):
        file.unlink()


@pytest.fixture
def lost(folder: Path) -> Iterator[str]:
    """A study whose trial kept no weights, for the time of a test."""
    name = "lost"
    study = digits_recipes().with_changes(name=name, recipe=RECIPE, trials=1, asha=None)
    train_into(str(folder / "trials"), study)
    forget_weights(folder, name)
    yield name
    delete_study(str(folder / "trials"), name)


@pytest.mark.parametrize("suffix", [".pt", ".pt2", ".onnx"])
def test_command_for_a_trial_without_weights_is_named_and_works(
    cli: Cli, folder: Path, lost: str, suffix: str
) -> None:
    output = f"again {suffix}"
    code, _, err = cli("export", lost, "0", "--output", output)
    assert code == 2
    assert "trial 0 of 'lost' kept no weights; trials that did: none. To train this one again" in err
    command = re.search(r"-m tune_jobs (replay .*?)\. Runs with a larger --keep-checkpoints", err)
    assert command is not None
    code, _, err = cli(*shlex.split(command[1]))
    assert code == 0, err
    assert f"wrote {output}" in err
    raw = read_dataset("digits")
    _, held_out = split_indices(raw.train_labels, RECIPE.validation_fraction)
    found = logits_of(folder / output, raw.train_images[held_out]).argmax(1)
    (said,) = TrialStore("trials").trials(lost)["objective"]
    assert (found == raw.train_labels[held_out]).mean() == pytest.approx(said, abs=1 / len(held_out))


def test_trial_of_own_training_says_how_it_is_trained_again(cli: Cli, folder: Path) -> None:
    recipe = RECIPE.with_changes(epochs=1)
    study = digits_recipes().with_changes(name="own", recipe=recipe, trials=1, asha=None, fit=own_fit)
    train_into(str(folder / "trials"), study)
    code, _, err = cli("export", "own", "0", "--output", "own-fit.pt")
    assert code == 2
    assert "To train this one again, call own_fit with its recipe, in column recipe of the view starts" in err
    assert "replay" not in err
    delete_study(str(folder / "trials"), "own")


def own_fit(recipe: Recipe, **options: Any) -> Iterator[Any]:
    yield SimpleNamespace(epoch=1, val_accuracy=0.5, elapsed_s=1.0)


def test_file_is_looked_at_before_a_replay_trains(cli: Cli, lost: str) -> None:
    code, out, err = cli("replay", lost, "0", "--output", "net.pth")
    assert (code, out) == (2, "")
    assert "must end in .pt, .pt2 or .onnx, got 'net.pth'" in err


def test_replay_that_differs_writes_its_network_and_says_so(
    cli: Cli, folder: Path, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = network_commands.begin_replay

    def begin_another(trial: Any, **where: Any) -> Any:
        return begin(replace(trial, recipe=trial.recipe.with_changes(seed=99)), **where)

    monkeypatch.setattr(network_commands, "begin_replay", begin_another)
    code, _, err = cli("replay", lost, "0", "--output", "other.pt")
    assert code == 1
    assert "note: the network in other.pt is not that of the trial: its reports differ from the stored" in err
    assert (folder / "other.pt").exists()


def test_trial_without_a_report_has_no_network(cli: Cli, folder: Path) -> None:
    store = str(folder / "trials")
    study = digits_recipes().with_changes(name="begun", recipe=RECIPE, trials=1, asha=None)
    with StudyWriter.open(store, study, versions={}) as writer:
        Session(study, writer).next_attempt()
    code, _, err = cli("export", "begun", "0", "--output", "begun.pt")
    assert code == 2
    assert "This one has no report, so it has no network either" in err
    code, _, err = cli("replay", "begun", "0", "--output", "begun.pt")
    assert code == 2
    assert "trial 0 of 'begun' has no report, so there is no network to train again" in err
    delete_study(store, "begun")
