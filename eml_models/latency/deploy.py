"""The fastest form of a trained network, ready to use: folded, cast, laid out, compiled or graphed.

`deploy` makes it and checks it against the model in eager fp32; `save_deployed` writes it as a program of
torch.export, `save_onnx` as one for onnxruntime (the extra ``onnx``), which is often the quickest for a small
network on a CPU. Which mode is the fastest on a device, `campaign` measures; `usual_mode` is a good guess.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eml_models.errors import DeployError, InvalidValueError
from eml_models.latency.conditions import find_compiler, require_device
from eml_models.latency.measure import explaining_images
from eml_models.latency.modes import PLAIN, Cast, Execution, Layout, Mode, Precision, parse_mode
from eml_models.latency.preparing import Prepared

TOLERANCE: Mapping[Precision, float] = {
    Precision.FP32: 1e-4,
    Precision.CONV_TF32: 1e-2,
    Precision.TF32: 1e-2,
    Precision.FP16: 1e-2,
    Precision.BF16: 6e-2,
}
"""The largest difference of a logit, as a share of the largest one (see `compare_logits`): some rounding
errors of a precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A network in its deployed form.

    Attributes:
        prepared: takes images (on any device, in any type) through `__call__` of this.
        error: the largest difference from the model in eager fp32, as a share of the largest logit (see
            `compare_logits`).
        same_class: the share of the example's images that get the same class.
        example: the images that it was checked with, placed.
    """

    prepared: Prepared
    mode: Mode
    error: float
    same_class: float
    example: torch.Tensor

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) in fp32 of images (N, C, H, W); the caller's own, whatever is called later."""
        logits = self.prepared(self.prepared.place(images))
        return logits.to(torch.float32, copy=True)


def usual_mode(device: str) -> Mode:
    """A fast mode of a kind of device, without measuring.

    On a GPU fp16 in a CUDA graph; folding saves it next to nothing (see `folding`). On a CPU fp32 (not all
    have units for bf16), compiled if it can be.
    """
    if device.startswith("cuda"):
        return parse_mode("fp16-weights/channels_last/graph/folded")
    execution = Execution.EAGER if find_compiler() is None else Execution.COMPILE
    return Mode(layout=Layout.CHANNELS_LAST, execution=execution, folded=True)


def deploy(
    model: nn.Module, images: torch.Tensor, mode: Mode | None = None, *, device: str = "cpu"
) -> Deployed:
    """The deployed form of a trained model, which is left as found.

    Args:
        images: an example batch (N, C, H, W); compiled and graphed forms are made for its shape.
        mode: None for `usual_mode`.

    Raises:
        UnsupportedModeError: the device does not have the mode, or the model cannot be compiled.
        InvalidValueError: there is no image, or the model cannot run on such ones or returns no logits.
        DeployError: its logits differ from the model's by more than the mode's precision explains.
    """
    place = require_device(device)
    mode = mode or usual_mode(device)
    prepared, reference = Prepared(model, mode, place), Prepared(model, PLAIN, place)
    example = prepared.place(images)
    with explaining_images(images):
        expected = reference(reference.place(images))
        if not isinstance(expected, torch.Tensor) or expected.ndim < 2:
            raise InvalidValueError("the model must return logits (N, classes) and nothing else")
        found = prepared(example).float()
    error, same_class = compare_logits(found, expected)
    _check(error, mode)
    return Deployed(prepared=prepared, mode=mode, error=error, same_class=same_class, example=example)


def compare_logits(found: torch.Tensor, expected: torch.Tensor) -> tuple[float, float]:
    """The largest difference as a share of the largest logit, and the share of equal classes.

    Logits are taken from their image's mean: what is common to all classes decides nothing, and as a measure
    it would hide that a form mixes the classes up.
    """
    decisive = expected - expected.mean(1, keepdim=True) if expected.shape[1] > 1 else expected
    largest = decisive.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    error = float((found - expected).abs().max() / largest)
    return error, float((found.argmax(1) == expected.argmax(1)).float().mean())


def save_deployed(deployed: Deployed, path: str | os.PathLike[str]) -> None:
    """Write the network as a program of torch.export, for any batch size; `load_deployed` reads it.

    What is written is folded, cast and laid out; compile or graph it anew where it is loaded.

    Raises:
        DeployError: the mode casts by autocast, which is no part of a program; the model cannot be exported,
            the written program differs, or the file is there already.
    """
    mode = deployed.mode
    if mode.cast is Cast.AUTOCAST:
        raise DeployError(
            f"autocast is no part of a written program, which would be fp32, got {mode}; deploy with"
            f" {replace(mode, cast=Cast.WEIGHTS)} or in fp32 first"
        )
    target = _new_file(path)
    module, example = deployed.prepared.module, _two_images(deployed.example)
    try:
        with warnings.catch_warnings():
            # it warns that weights in channels_last are no plain block; that they come back is checked below
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
            torch.export.save(program, target)
    except Exception as error:  # an exporter may raise anything; all of it means: not in this form
        target.unlink(missing_ok=True)
        raise DeployError(f"the model cannot be exported: {_first_line(error)}") from error
    _check_written(load_deployed(target), deployed, target)


def load_deployed(path: str | os.PathLike[str]) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network that `save_deployed` wrote: images in its type and layout to logits."""
    module: Callable[[torch.Tensor], torch.Tensor] = torch.export.load(os.fspath(path)).module()
    return module


def save_onnx(deployed: Deployed, path: str | os.PathLike[str]) -> None:
    """Write the network as ONNX, for any batch size, after running it in onnxruntime.

    Raises:
        DeployError: the extra is not installed, the mode's precision is not fp32 (onnxruntime's kernels for a
            CPU are), the model cannot be exported, or onnxruntime computes something else.
    """
    if deployed.mode.precision is not Precision.FP32:
        raise DeployError(f"ONNX is written in fp32, got {deployed.mode}; deploy with an fp32 mode first")
    target = _new_file(path)
    # onnxruntime runs on the CPU here
    module, example = copy.deepcopy(deployed.prepared.module).cpu(), _two_images(deployed.example.cpu())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns of its own parts
            torch.onnx.export(
                module,
                (example.contiguous(),),
                os.fspath(target),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                external_data=False,
                dynamo=True,
                verbose=False,
            )
        run = load_onnx(target)
    except ImportError as error:
        target.unlink(missing_ok=True)
        raise DeployError(f"ONNX needs the extra: pip install 'tune-jobs[onnx]' ({error})") from error
    except Exception as error:  # an exporter may raise anything; all of it means: not in this form
        target.unlink(missing_ok=True)
        raise DeployError(f"the model cannot be exported to ONNX: {_first_line(error)}") from error
    _check_written(run, deployed, target)


def load_onnx(path: str | os.PathLike[str], *, threads: int = 1) -> Callable[[torch.Tensor], torch.Tensor]:
    """A network in ONNX, run by onnxruntime on the CPU: images (fp32, NCHW) to logits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session: Any = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])

    def run(images: torch.Tensor) -> torch.Tensor:
        (logits,) = session.run(None, {"images": images.cpu().contiguous().numpy()})
        return torch.from_numpy(logits)

    return run


def _check_written(run: Callable[[torch.Tensor], torch.Tensor], deployed: Deployed, target: Path) -> None:
    """What was written computes what was deployed, else it is removed."""
    with torch.inference_mode():
        expected = deployed.prepared(deployed.example).float()
        error, _ = compare_logits(run(deployed.example).float().cpu(), expected.cpu())
    try:
        _check(error, deployed.mode)
    except DeployError:
        target.unlink()
        raise


def _check(error: float, mode: Mode) -> None:
    limit = TOLERANCE[mode.precision]
    if not error <= limit:
        raise DeployError(
            f"in {mode} the logits differ from eager fp32 by {error:.2g} of the largest one, {mode.precision}"
            f" explains {limit:g}: use a mode of higher precision"
        )


def _new_file(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.exists():
        raise DeployError(f"{target} is there already; choose another file")
    return target


def _two_images(example: torch.Tensor) -> torch.Tensor:
    """At least two images: an exporter takes a batch of one for a constant."""
    return example if example.shape[0] > 1 else example.repeat(2, 1, 1, 1)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
