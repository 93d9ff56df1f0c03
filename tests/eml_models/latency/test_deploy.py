"""The deployed form computes what the model does, also after writing and reading it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from latency_testing import with_used_norms
from torch import nn

from eml_models.errors import DeployError, InvalidValueError
from eml_models.latency.deploy import deploy, save_deployed, save_onnx, usual_mode
from eml_models.latency.measuring.error_bounds import bound_error
from eml_models.latency.measuring.modes import Precision, parse_mode
from eml_models.networks.registry import build_model
from eml_models.training.exporting import load_onnx

FOLDED = parse_mode("fp32/channels_last/eager/folded")
IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return with_used_norms(build_model("mobilenet", input_shape=(3, 8, 8), num_classes=10, width_mult=0.1))


def test_deployed_agrees_with_the_model_and_leaves_it(model: nn.Module) -> None:
    deployed = deploy(model, IMAGES, FOLDED)
    assert deployed.error < 1e-5
    assert deployed.same_class == 1
    assert model.training
    expected = model.eval()(IMAGES)
    torch.testing.assert_close(deployed(IMAGES), expected, rtol=1e-4, atol=1e-5)
    model.train()


def test_half_precision_is_within_its_rounding(model: nn.Module) -> None:
    deployed = deploy(model, IMAGES, parse_mode("bf16-weights/channels_last/eager/folded"))
    assert 0 < deployed.error < 0.06
    assert deployed(IMAGES).dtype is torch.float32


def test_a_form_that_computes_something_else_is_refused() -> None:
    class Overflowing(nn.Module):
        """Exact in fp32; its intermediate values leave the range of fp16."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.linear(x * 1e6) / 1e6
            return logits

    with pytest.raises(DeployError, match="differ from eager fp32 by nan"):
        deploy(Overflowing(), torch.rand(2, 4, 1, 4), parse_mode("fp16-weights"))


def test_an_offset_of_all_logits_hides_no_class_that_changed(model: nn.Module) -> None:
    shifted = copy.deepcopy(model)
    *_, last = (part for part in shifted.modules() if isinstance(part, nn.Linear))
    with torch.no_grad():
        last.bias += 1000
    assert deploy(shifted, IMAGES, FOLDED).same_class == 1
    with pytest.raises(DeployError, match="use a mode of higher precision"):
        deploy(shifted, IMAGES, parse_mode("bf16-weights"))


def test_a_written_program_is_read_back_for_any_batch(model: nn.Module, tmp_path: Path) -> None:
    deployed = deploy(model, IMAGES[:1], FOLDED)
    save_deployed(deployed, tmp_path / "net.pt2")
    found = torch.export.load(str(tmp_path / "net.pt2")).module()(IMAGES)
    torch.testing.assert_close(found, deployed(IMAGES), rtol=1e-4, atol=1e-5)
    with pytest.raises(DeployError, match="exists already"):
        save_deployed(deployed, tmp_path / "net.pt2")
    with pytest.raises(DeployError, match=r"there is no folder .*nowhere; make it"):
        save_deployed(deployed, tmp_path / "nowhere" / "net.pt2")


def test_a_model_that_cannot_be_exported_leaves_no_file(tmp_path: Path) -> None:
    class Counting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1) * (1 if float(x.sum()) > 0 else 2)

    deployed = deploy(Counting(), IMAGES, parse_mode("fp32"))
    with pytest.raises(DeployError, match="cannot be exported"):
        save_deployed(deployed, tmp_path / "net.pt2")
    assert list(tmp_path.iterdir()) == []


def test_onnxruntime_computes_the_network(model: nn.Module, tmp_path: Path) -> None:
    deployed = deploy(model, IMAGES, FOLDED)
    save_onnx(deployed, tmp_path / "net.onnx")
    found = load_onnx(tmp_path / "net.onnx")(IMAGES[:3])
    torch.testing.assert_close(found, deployed(IMAGES[:3]), rtol=1e-4, atol=1e-5)
    half = deploy(model, IMAGES, parse_mode("bf16-weights"))
    with pytest.raises(DeployError, match="fp32"):
        save_onnx(half, tmp_path / "half.onnx")


def test_autocast_is_no_part_of_a_written_program(model: nn.Module, tmp_path: Path) -> None:
    deployed = deploy(model, IMAGES, parse_mode("bf16-autocast"))
    with pytest.raises(
        DeployError, match="would be fp32, got bf16-autocast/nchw/eager; deploy with bf16-weights"
    ):
        save_deployed(deployed, tmp_path / "net.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "says"), [((0, 3, 8, 8), "at least one of them"), ((2, 1, 8, 8), "cannot run on images")]
)
def test_images_that_are_none_of_the_models_are_refused(
    model: nn.Module, shape: tuple[int, ...], says: str
) -> None:
    with pytest.raises(InvalidValueError, match=says):
        deploy(model, torch.rand(shape), FOLDED)


@pytest.mark.parametrize("logits", [lambda x: (x.flatten(1),), lambda x: x.flatten(1).sum(1)])
def test_a_model_that_returns_no_logits_is_refused(logits: Callable[[torch.Tensor], Any]) -> None:
    class Other(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return logits(x)

    with pytest.raises(InvalidValueError, match="must return logits"):
        deploy(Other(), IMAGES, parse_mode("fp32"))


def test_usual_modes() -> None:
    assert str(usual_mode("cuda:1")) == "fp16-weights/channels_last/graph/folded"
    assert usual_mode("cpu").folded


@pytest.mark.parametrize("seed", [2, 5])
def test_what_rounding_explains_in_a_deep_network_is_no_other_network(seed: int) -> None:
    """With all weights cast, batch norms too, these differ by 0.075 and 0.068; a GPU's NCHW kernels do so as
    they stand."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        deep = build_model("mobilenet", input_shape=(3, 32, 32), num_classes=10, width_mult=0.25)
        deep, images = with_used_norms(deep), torch.rand(8, 3, 32, 32)
    deployed = deploy(deep, images, parse_mode("bf16-weights"))
    assert 0 < deployed.error < bound_error(deployed.prepared.module, Precision.BF16)


def test_torchs_warning_of_its_own_reading_is_no_failure_and_others_are(
    model: nn.Module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    load, deployed = torch.export.load, deploy(model, IMAGES, FOLDED)

    def load_with(text: str) -> Callable[..., Any]:
        def warning(content: Any) -> Any:
            warnings.warn(text, UserWarning, stacklevel=2)
            return load(content)

        return warning

    words = "The given buffer is not writable, and PyTorch does not support non-writable tensors."
    monkeypatch.setattr(torch.export, "load", load_with(words))
    save_deployed(deployed, tmp_path / "net.pt2")
    monkeypatch.setattr(torch.export, "load", load_with("weights are missing"))
    with pytest.raises((UserWarning, DeployError), match="weights are missing"):
        save_deployed(deployed, tmp_path / "other.pt2")


@pytest.mark.slow
def test_compiled_form_computes_the_network(model: nn.Module) -> None:
    assert deploy(model, IMAGES, parse_mode("fp32/channels_last/compile/folded")).error < 1e-5
