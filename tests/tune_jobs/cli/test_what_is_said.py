"""What a run says of itself is what it does, whichever options changed it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cli_testing import Cli

from eml_models.data.datasets import SHIPPED as DATASETS
from tune_jobs.inputs.shipped import SHIPPED, lab_cifar10

TITLES = {"digits": "digits", "mnist": "mnist", "fashion_mnist": "fashion-mnist", "cifar10": "cifar-10"}


def dry_run(cli: Cli, *words: str) -> tuple[dict[str, Any], str]:
    code, out, err = cli("run", *words, "--dry-run", "--format", "json")
    assert code == 0, err
    return json.loads(out), err


@pytest.mark.parametrize("scale", ["full", "smoke"])
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_study_says_what_is_run(cli: Cli, name: str, scale: str) -> None:
    asked = ("--dataset", "fashion_mnist", "--epochs", "4", "--trials", "7", "--scale", scale, "--download")
    shown, err = dry_run(cli, name, *asked)
    recipe = shown["definition"]["recipe"]
    assert (recipe["dataset"], recipe["epochs"], shown["trials"]) == ("fashion_mnist", 4, 7)
    assert "on fashion_mnist" in shown["summary"]
    assert "7 trials of 4 epochs" in shown["summary"]
    assert not re.search(r"epochs|trials", err)  # what was asked for is changed by nothing
    others = [title for dataset, title in TITLES.items() if dataset not in ("fashion_mnist", "mnist")]
    said = f"{shown['description']} {shown['summary']}".lower()
    assert [title for title in others if title in said] == []
    assert not re.search(r"\d", shown["description"].replace("ResNet-18", ""))  # numbers are in the summary


def test_data_sets_have_titles() -> None:
    assert set(TITLES) == set(DATASETS)


def test_summary_follows_the_options(cli: Cli) -> None:
    shown, _ = dry_run(
        cli, "digits-recipes", "--fix", "optimizer=adam", "--sampler", "random", "--no-asha", "--objectives",
        "val_loss,macs", "--max-macs", "30M", "--trials", "1",
    )  # fmt: skip
    assert shown["summary"] == (
        "random over learning_rate, schedule, weight_decay, batch_size; small_cnn on digits;"
        " 1 trial of 18 epochs; for val_loss, macs; within max_macs 30,000,000"
    )
    shown, _ = dry_run(cli, "digits-families")
    assert shown["summary"] == (
        "tpe over model, macs_share, width_1 to width_7, expansion_2 to expansion_7, depth_1 to depth_7,"
        " learning_rate, weight_decay; mobilenet or resnet18 on digits;"
        " 24 trials of 9 epochs with early stopping; for val_accuracy; within max_macs 1,000,000"
    )
    shown, _ = dry_run(cli, "digits-families", "--fix", "model=resnet18")
    assert "tpe over macs_share, learning_rate, weight_decay; resnet18 on digits" in shown["summary"]


def test_smoke_scale_says_the_epochs_that_it_trains(cli: Cli) -> None:
    shown, err = dry_run(cli, "lab-cifar10", "--scale", "smoke")
    assert shown["definition"]["recipe"]["epochs"] == 6
    assert "epochs 6 (full: 30)" in err
    shown, err = dry_run(cli, "lab-cifar10", "--scale", "smoke", "--epochs", "4")
    assert shown["definition"]["recipe"]["epochs"] == 4
    assert "epochs" not in err
    shown, err = dry_run(cli, "mobilenet", "--scale", "smoke", "--epochs", "9", "--precision", "bf16")
    assert shown["definition"]["recipe"]["epochs"] == 9
    assert shown["definition"]["recipe"]["precision"] == "bf16"
    assert "trials 12 (full: 128)" in err


SEARCHES_EPOCHS = """
from eml_models import Recipe
from tune_jobs import Choice, Space, Study

def study():
    space = Space(Choice("epochs", (1, 3, 9)), Choice("precision", ("fp32", "bf16")))
    return Study(name="own", space=space, recipe=Recipe(learning_rate=0.1, epochs=1))
"""


def test_option_that_the_space_overrules_is_refused(cli: Cli, folder: Path) -> None:
    (folder / "own.py").write_text(SEARCHES_EPOCHS)
    shown, err = dry_run(cli, "own.py:study", "--scale", "smoke")
    assert "12 trials of up to 9 epochs" in shown["summary"]
    assert "epochs stays as the study's space sets it" in err
    code, _, err = cli("run", "own.py:study", "--epochs", "4", "--precision", "fp32")
    assert code == 2
    assert (
        "its space sets epochs, so --epochs 4 would change nothing; hold it at this value with --fix epochs=4"
        in err
    )
    assert "hold it at this value with --fix precision=fp32" in err
    shown, _ = dry_run(cli, "own.py:study", "--fix", "epochs=3")
    assert "trials of 3 epochs" in shown["summary"]


def test_lab_table_on_cifar10_has_the_rates_from_1e_4_to_1e_1() -> None:
    study = lab_cifar10()
    rates = study.space["learning_rate"].grid()
    assert rates == (1e-4, 1e-3, 1e-2, 1e-1)
    assert study.trials == 3 * 5 * 4 * 5 == sum(1 for _ in study.space.iter_grid())
    assert "The rate 1.0 is left out" in (lab_cifar10.__doc__ or "")
