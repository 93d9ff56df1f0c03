"""What is exported takes images as their data set stores them, and scores what the training said."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from exporting_testing import CLASSES, RUNS, Shifted, Trained, facts_in, run_onnx

import eml_models
from eml_models.errors import DeployError, InvalidValueError
from eml_models.latency.deploy import deploy, save_deployed, save_onnx
from eml_models.latency.measuring.modes import parse_mode
from eml_models.training.exporting import export_network, export_trained, write_program
from eml_models.training.snapshot import load_trained


@pytest.mark.parametrize("suffix", RUNS)
def test_exported_network_scores_on_raw_images_what_training_said(
    trained: Trained, suffix: str, tmp_path: Path
) -> None:
    export_trained(trained.path, tmp_path / f"net{suffix}")
    run = RUNS[suffix](tmp_path / f"net{suffix}")
    # in 16 bits the training itself scored with rounded weights: a few images more or less
    slack = trained.one_image if trained.recipe.precision == "fp32" else 0.02
    assert trained.score(run) == pytest.approx(trained.val_accuracy, abs=slack)
    for count in (1, 3):  # the batch is free
        assert run(trained.images[:count]).shape == (count, len(set(trained.labels)))
    assert [path.name for path in tmp_path.iterdir()] == [f"net{suffix}"]


def test_images_that_are_scaled_before_are_not_what_it_takes(digits: Trained, tmp_path: Path) -> None:
    export_trained(digits.path, tmp_path / "net.onnx")
    run = run_onnx(tmp_path / "net.onnx")
    assert digits.images.max() == 16
    assert digits.score(lambda images: run(images / 16)) < digits.score(run) - 0.2


@pytest.mark.parametrize("suffix", RUNS)
def test_exported_file_says_what_it_takes(trained: Trained, suffix: str, tmp_path: Path) -> None:
    export_trained(trained.path, tmp_path / f"net{suffix}")
    facts, pixels = facts_in(tmp_path / f"net{suffix}"), trained.raw.train_images.astype(np.float64)
    of_digits = trained.recipe.dataset == "digits"
    assert facts["input_shape"] == ([1, 8, 8] if of_digits else [3, 12, 12])
    assert facts["value_range"] == ([0, 16] if of_digits else [0, 255])
    np.testing.assert_allclose(facts["mean"], pixels.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(facts["std"], pixels.std((0, 2, 3)), rtol=1e-6)
    assert facts["class_names"] == (list("0123456789") if of_digits else list(CLASSES))
    assert facts["num_classes"] == len(facts["class_names"])
    assert facts["recipe"] == json.loads(trained.recipe.to_json())
    assert facts["epoch"] == trained.recipe.epochs
    assert len(facts["data_fingerprint"]) == 32
    assert facts["dtype"] == "float32"
    shape, top = ("1, 8, 8", 16) if of_digits else ("3, 12, 12", 255)
    assert facts["takes"].startswith(f"float32 images (N, {shape}) with the stored values of")
    assert f", 0 to {top}; the network standardises them itself" in facts["takes"]


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_exported_file_names_no_folder_of_this_machine(digits: Trained, suffix: str, tmp_path: Path) -> None:
    target = tmp_path / f"net{suffix}"
    export_trained(digits.path, target)
    parts = [target.read_bytes()]
    if suffix == ".pt2":
        with zipfile.ZipFile(target) as archive:
            parts = [archive.read(name) for name in archive.namelist()]
    for folder in (Path(eml_models.__file__).parent, Path(torch.__file__).parent, tmp_path):
        assert not any(str(folder).encode() in part for part in parts)


@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
def test_onnx_without_its_extra_names_the_extra(
    digits: Trained, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: object, **options: object) -> None:
        raise ModuleNotFoundError(f"No module named '{library}'")

    place = "onnxruntime.InferenceSession" if library == "onnxruntime" else "torch.onnx.export"
    monkeypatch.setattr(place, missing)
    with pytest.raises(DeployError, match=r"needs the extra: pip install 'tune-jobs\[onnx\]' .*" + library):
        export_trained(digits.path, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["net", "net.pth", "net.onnx.gz", "net.ONNX", ".pt2"])
def test_unknown_suffix_is_refused_and_names_the_known_ones(
    digits: Trained, target: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidValueError, match=r"must end in \.pt, \.pt2 or \.onnx, got"):
        export_trained(digits.path, tmp_path / target)
    with pytest.raises(InvalidValueError, match=r"must end in \.pt2 or \.onnx"):
        export_network(load_trained(digits.path), tmp_path / "net.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", RUNS)
def test_file_that_is_there_stays(digits: Trained, suffix: str, tmp_path: Path) -> None:
    target = tmp_path / f"net{suffix}"
    target.write_text("mine")
    with pytest.raises(InvalidValueError, match="exists already"):
        export_trained(digits.path, target)
    assert target.read_text() == "mine"


@pytest.mark.parametrize("suffix", RUNS)
def test_folder_that_is_not_there_is_named_before_anything_is_read(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(
        InvalidValueError, match=r"got .*: there is no folder '.*nowhere'; make it, or choose"
    ):
        export_trained(tmp_path / "no-snapshot", tmp_path / "nowhere" / f"net{suffix}")


def test_what_was_written_wrong_never_appears(tmp_path: Path) -> None:
    def refuse(run: Callable[[torch.Tensor], torch.Tensor]) -> None:
        assert run(torch.ones(3, 1, 2, 2)).tolist() == [[4, -4]] * 3
        raise DeployError("it computes something else")

    with pytest.raises(DeployError, match="something else"):
        write_program(Shifted(), torch.rand(1, 1, 2, 2), tmp_path / "net.pt2", check=refuse)
    assert list(tmp_path.iterdir()) == []


def test_deployed_forms_take_stored_images_and_carry_the_facts(digits: Trained, tmp_path: Path) -> None:
    network = load_trained(digits.path)
    images = torch.from_numpy(digits.images)
    for mode in ("fp32/channels_last/eager/folded", "bf16-weights/nchw/eager/folded"):
        deployed = deploy(network, images, parse_mode(mode))
        assert digits.score(lambda stored, run=deployed: run(torch.from_numpy(stored))) == pytest.approx(
            digits.val_accuracy, abs=0.01
        )
        save_deployed(deployed, tmp_path / f"{mode[:4]}.pt2")
    save_onnx(deploy(network, images, parse_mode("fp32/nchw/eager/folded")), tmp_path / "net.onnx")
    assert digits.score(run_onnx(tmp_path / "net.onnx")) == pytest.approx(
        digits.val_accuracy, abs=digits.one_image
    )
    expected = network.facts.as_dict()
    assert facts_in(tmp_path / "net.onnx") == facts_in(tmp_path / "fp32.pt2") == expected
    half = facts_in(tmp_path / "bf16.pt2")
    assert half["dtype"] == "bfloat16"
    assert half["takes"].startswith("bfloat16 images (N, 1, 8, 8)")


def test_plain_module_is_written_without_facts(tmp_path: Path) -> None:
    deployed = deploy(Shifted(), torch.rand(2, 1, 2, 2), parse_mode("fp32"))
    assert deployed.facts is None
    save_onnx(deployed, tmp_path / "net.onnx")
    assert facts_in(tmp_path / "net.onnx") == {}
