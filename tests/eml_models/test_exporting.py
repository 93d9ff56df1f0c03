"""What is exported takes images as their data set stores them, and scores what the training said."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import eml_models
from eml_models.datasets import (
    DatasetSpec,
    RawDataset,
    read_dataset,
    register_dataset,
    unregister_dataset,
)
from eml_models.errors import DeployError, InvalidValueError
from eml_models.exporting import FACTS_FILE, export_network, export_trained, write_program
from eml_models.facts import DataFacts, NetworkFacts
from eml_models.latency.deploy import deploy, save_deployed, save_onnx
from eml_models.latency.modes import parse_mode
from eml_models.recipe import Recipe
from eml_models.snapshot import load_snapshot, load_trained, save_snapshot
from eml_models.splits import split_indices
from eml_models.train import evaluate_test, fit
from eml_models.trained import TrainedNetwork

SMALL = Recipe(model="small_cnn", learning_rate=0.05, epochs=4, model_options={"width": 8})
CLASSES = ("dark", "bright", "coloured")


def read_stamps(folder: Path, download: bool) -> RawDataset:
    """Bytes 0 to 255 of three classes: what differs is small beside the mean and the noise."""
    random = np.random.default_rng(3)
    labels = np.arange(900) % 3
    images = random.normal(120, 40, (900, 3, 12, 12))
    images[labels == 1] += 12
    images[labels == 2, 0] += 14
    images = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    images[0, 0, 0, :2] = 0, 255
    return RawDataset(
        train_images=images[:750],
        train_labels=labels[:750],
        test_images=images[750:],
        test_labels=labels[750:],
    )


STAMPS = DatasetSpec(
    name="stamps", input_shape=(3, 12, 12), num_classes=3, read=read_stamps, class_names=CLASSES
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A training that has ended: the file of its snapshot, its own accuracy, and what it was measured on.

    Attributes:
        images: those held out, as the reader returned them.
    """

    path: Path
    recipe: Recipe
    val_accuracy: float
    raw: RawDataset
    images: Any
    labels: Any

    def score(self, run: Callable[[Any], Any]) -> float:
        """The share of the held-out images that a network classes right."""
        return float((np.asarray(run(self.images)).argmax(1) == self.labels).mean())

    @property
    def one_image(self) -> float:
        return 1 / len(self.labels)


def train(recipe: Recipe, folder: Path) -> Trained:
    training = fit(recipe)
    *_, last = training
    raw = read_dataset(recipe.dataset)
    _, held_out = split_indices(raw.train_labels, recipe.validation_fraction)
    save_snapshot(training.snapshot(), folder / "trained.pt")
    assert last.val_accuracy is not None
    return Trained(
        path=folder / "trained.pt",
        recipe=recipe,
        val_accuracy=last.val_accuracy,
        raw=raw,
        images=raw.train_images[held_out],
        labels=raw.train_labels[held_out],
    )


@pytest.fixture(scope="module", params=["digits", "stamps", "digits-bf16"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A trained network; its data set is forgotten again where it is one of the test's own."""
    name, _, precision = request.param.partition("-")
    register_dataset(STAMPS)
    recipe = SMALL.with_changes(dataset=name, precision=precision or "fp32")
    found = train(recipe, tmp_path_factory.mktemp(request.param))
    unregister_dataset("stamps")
    assert found.val_accuracy > 0.7
    return found


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(SMALL, tmp_path_factory.mktemp("digits"))


def run_onnx(path: Path) -> Callable[[Any], Any]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,), (got,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, got.name) == ("images", "tensor(float)", "logits")
    return lambda images: session.run(None, {"images": images.astype(np.float32)})[0]


def run_program(path: Path) -> Callable[[Any], Any]:
    module = torch.export.load(str(path)).module()
    return lambda images: module(torch.from_numpy(images.astype(np.float32))).detach().numpy()


def run_trained(path: Path) -> Callable[[Any], Any]:
    network = load_trained(path)
    return lambda images: network(torch.from_numpy(images)).detach().numpy()


RUNS = {".pt": run_trained, ".pt2": run_program, ".onnx": run_onnx}


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


def test_loaded_network_takes_bytes_and_floats_to_the_same_bits(digits: Trained) -> None:
    network, training = load_trained(digits.path), load_snapshot(digits.path)
    images = torch.from_numpy(digits.images)
    assert images.dtype == torch.uint8
    standardised = (images.float() - torch.tensor(training.data.mean)) / torch.tensor(training.data.std)
    with torch.inference_mode():
        assert torch.equal(network(images), network(images.float()))
        assert torch.equal(network(images), network.module(standardised))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.zeros(5, 1, 28, 28), r"got \(5, 1, 28, 28\)"),
        (torch.zeros(5, 3, 8, 8), r"got \(5, 3, 8, 8\)"),
        (torch.zeros(1, 8, 8), r"got \(1, 8, 8\)"),
        (torch.zeros(8, 8), r"got \(8, 8\)"),
        (np.zeros((5, 1, 8, 8)), "got ndarray; torch.as_tensor makes one"),
    ],
)
def test_images_of_another_shape_are_refused(digits: Trained, images: Any, says: str) -> None:
    with pytest.raises(InvalidValueError, match=rf"images must be a tensor \(N, 1, 8, 8\).*{says}"):
        load_trained(digits.path)(images)


def facts_in(path: Path) -> dict[str, Any]:
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    if path.suffix == ".pt2":
        extra = {FACTS_FILE: ""}
        torch.export.load(str(path), extra_files=extra)
        with zipfile.ZipFile(path) as archive:  # a way that loads no program
            (name,) = (name for name in archive.namelist() if name.endswith(f"/extra/{FACTS_FILE}"))
            assert archive.read(name).decode() == extra[FACTS_FILE]
        return dict(json.loads(extra[FACTS_FILE]))
    return load_trained(path).facts.as_dict()


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
    assert facts["takes"].startswith(f"float32 images (N, {shape}) with the values that")
    assert f"stores, 0 to {top}; it standardises them itself" in facts["takes"]


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
def test_onnx_without_its_extra_is_told(
    digits: Trained, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: object, **options: object) -> None:
        raise ModuleNotFoundError(f"No module named '{library}'")

    place = "onnxruntime.InferenceSession" if library == "onnxruntime" else "torch.onnx.export"
    monkeypatch.setattr(place, missing)
    with pytest.raises(DeployError, match=r"needs the extra: pip install 'tune-jobs\[onnx\]' .*" + library):
        export_trained(digits.path, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_network_of_a_data_set_that_nobody_knows_here_still_runs(trained: Trained) -> None:
    network = load_trained(trained.path)
    if trained.recipe.dataset == "stamps":
        with pytest.raises(InvalidValueError, match="unknown data set 'stamps'"):
            network.recipe  # noqa: B018 - a property that asks for the data set
    else:
        assert network.recipe == trained.recipe


def test_trained_network_is_tested_as_the_one_in_training(digits: Trained) -> None:
    network = load_trained(digits.path)
    raw = read_dataset("digits")
    with torch.inference_mode():
        found = network(torch.from_numpy(raw.test_images)).argmax(1).numpy()
    expected = (found == raw.test_labels).mean()
    for module in (network, network.module):
        assert evaluate_test(module, network.recipe).accuracy == pytest.approx(expected)


def test_trained_network_is_not_tested_on_other_data(digits: Trained) -> None:
    network = load_trained(digits.path)
    register_dataset(STAMPS)
    try:
        with pytest.raises(InvalidValueError, match=r"trained on data c911f9ec.* 'stamps' here is"):
            evaluate_test(network, network.recipe.with_changes(dataset="stamps"))
    finally:
        unregister_dataset("stamps")


@pytest.mark.parametrize("target", ["net", "net.pth", "net.onnx.gz", "net.ONNX", ".pt2"])
def test_unknown_suffix_is_refused_and_names_the_known_ones(
    digits: Trained, target: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidValueError, match=r"written as \.pt, \.pt2 or \.onnx, by the file's suffix"):
        export_trained(digits.path, tmp_path / target)
    with pytest.raises(InvalidValueError, match=r"written as \.pt2 or \.onnx"):
        export_network(load_trained(digits.path), tmp_path / "net.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", RUNS)
def test_file_that_is_there_stays(digits: Trained, suffix: str, tmp_path: Path) -> None:
    target = tmp_path / f"net{suffix}"
    target.write_text("mine")
    with pytest.raises(InvalidValueError, match="is there already"):
        export_trained(digits.path, target)
    assert target.read_text() == "mine"


@pytest.mark.parametrize("suffix", RUNS)
def test_torn_snapshot_is_not_exported(digits: Trained, suffix: str, tmp_path: Path) -> None:
    (tmp_path / "torn.pt").write_bytes(digits.path.read_bytes()[:2000])
    with pytest.raises(InvalidValueError, match=r"torn\.pt is not a snapshot, or a torn one"):
        export_trained(tmp_path / "torn.pt", tmp_path / f"net{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == ["torn.pt"]


HOSTILE: dict[str, dict[str, Any]] = {
    "weights of no network": {"module": {"other": torch.zeros(2)}},
    "weights that are no tensors": {"module": [1, 2]},
    "an epoch that is a text": {"epoch": "3"},
    "an owner that is a list": {"owner": []},
    "a recipe that is no object": {"recipe": "[1]"},
    "a recipe that is no text": {"recipe": 5},
    "facts of no data": {"data": {"mean": [1.0]}},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("suffix", RUNS)
def test_what_could_not_be_loaded_is_not_exported(
    digits: Trained, suffix: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    state = torch.load(digits.path, weights_only=True)
    torch.save({**state, **changes}, tmp_path / "hostile.pt")
    for use in (load_trained, lambda path: export_trained(path, tmp_path / f"net{suffix}")):
        with pytest.raises(InvalidValueError):
            use(tmp_path / "hostile.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.pt"]


def test_code_in_a_file_is_not_run(digits: Trained, tmp_path: Path) -> None:
    """torch.export.load would run it: a program keeps its example images as a pickle."""

    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    hostile = io.BytesIO()
    torch.save(Code(), hostile)
    export_trained(digits.path, tmp_path / "net.pt2")
    with zipfile.ZipFile(tmp_path / "net.pt2") as whole, zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad:
        for name in whole.namelist():
            pickled = name.endswith("sample_inputs/model.pt")
            bad.writestr(name, hostile.getvalue() if pickled else whole.read(name))
    (tmp_path / "bad.pt").write_bytes(hostile.getvalue())
    for source in ("bad.pt2", "bad.pt"):
        for use in (load_trained, lambda path: export_trained(path, tmp_path / "copy.pt")):
            with pytest.raises(InvalidValueError, match="is not a snapshot"):
                use(tmp_path / source)
    assert {path.name for path in tmp_path.iterdir()} == {"net.pt2", "bad.pt2", "bad.pt"}


def test_weights_of_a_family_that_has_changed_are_refused(digits: Trained, tmp_path: Path) -> None:
    taken = load_snapshot(digits.path)
    weights = {name: value[..., None] for name, value in taken.module.items()}
    state = torch.load(digits.path, weights_only=True)
    torch.save({**state, "module": weights}, tmp_path / "other.pt")
    with pytest.raises(InvalidValueError, match="do not fit the family 'small_cnn' as it is in this process"):
        load_trained(tmp_path / "other.pt")


FACTS = DataFacts(
    input_shape=(1, 2, 2), value_range=(0, 1), mean=(0.5,), std=(0.25,), num_classes=2, fingerprint="f"
)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mean": [0.5, 0.5]}, "mean and std must have 1 numbers"),
        ({"std": [0.0]}, "std positive"),
        ({"mean": [float("nan")]}, "must be finite"),
        ({"input_shape": [2, 2]}, "input_shape must be"),
        ({"class_names": ["a"]}, "class_names must be 2"),
        ({"more": 1}, "more"),
    ],
)
def test_facts_that_contradict_themselves_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidValueError, match=says):
        DataFacts.from_dict({**FACTS.as_dict(), **changes})
    assert DataFacts.from_dict(json.loads(json.dumps(FACTS.as_dict()))) == FACTS


class Shifted(nn.Module):
    """Logits of two classes, and one operation that an exporter may not know."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.stack([images.sum((1, 2, 3)), -images.sum((1, 2, 3))], 1)


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


def test_words_of_a_trained_network_need_no_network() -> None:
    facts = NetworkFacts(data=FACTS, recipe=SMALL.as_dict(), epoch=4)
    network = TrainedNetwork(Shifted(), facts)
    assert network(torch.full((1, 1, 2, 2), 1.0)).tolist() == [[8, -8]]  # four times (1 - 0.5) / 0.25
    with pytest.raises(InvalidValueError, match="must name its model"):
        NetworkFacts(data=FACTS, recipe={}, epoch=4)
