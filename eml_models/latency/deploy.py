"""The fastest form of a trained network, ready to use: folded, cast, laid out, compiled or graphed.

`deploy` makes it and checks it against the model in eager fp32; `save_deployed` writes it as a program of
torch.export, `save_onnx` as one for onnxruntime (the extra ``onnx``), which is often the quickest for a small
network on a CPU. A network of `load_trained` takes images as its data set stores them in each of these
forms, and the files carry its facts. A module of your own takes the images that it was written for, and has
no facts. A campaign measures which mode is the fastest on a device; `usual_mode` is a good guess.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from eml_models.data.facts import NetworkFacts
from eml_models.errors import DeployError, InvalidValueError
from eml_models.latency.measuring.conditions import find_compiler, require_device
from eml_models.latency.measuring.error_bounds import bound_error
from eml_models.latency.measuring.modes import PLAIN, Cast, Execution, Layout, Mode, Precision, parse_mode
from eml_models.latency.measuring.preparing import Prepared
from eml_models.latency.measuring.timing import explaining_images
from eml_models.training.exporting import Check, Run, compare_logits, write_onnx, write_program
from eml_models.training.trained import TrainedNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A network in its deployed form.

    Attributes:
        prepared: takes images (on any device, in any type) through `__call__` of this.
        mode: how it runs.
        error: the largest difference from the model in eager fp32, as a share of the largest logit (see
            `compare_logits`).
        same_class: the share of the example's images that get the same class.
        example: the images that it was checked with, placed.
        facts: of a trained network; None for a module that has none.
    """

    prepared: Prepared
    mode: Mode
    error: float
    same_class: float
    example: torch.Tensor
    facts: NetworkFacts | None = None

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
        model: what `load_trained` returned, or any module that takes images and returns logits.
        images: an example batch (N, C, H, W) as the model takes it; compiled and graphed forms are made for
            its shape.
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
    _check(error, prepared)
    return Deployed(
        prepared=prepared,
        mode=mode,
        error=error,
        same_class=same_class,
        example=example,
        facts=model.facts if isinstance(model, TrainedNetwork) else None,
    )


def save_deployed(deployed: Deployed, path: str | os.PathLike[str]) -> None:
    """Write the network as a program of torch.export, for any batch size; ``torch.export.load`` reads it.

    What is written is folded, cast and laid out; compile or graph it anew where it is loaded. It takes images
    in the mode's type and layout. Loading a program may run code: load only those that you trust.

    Raises:
        DeployError: the mode casts by autocast, which is no part of a program; the model cannot be exported,
            the written program differs, or the file exists already.
    """
    mode = deployed.mode
    if mode.cast is Cast.AUTOCAST:
        raise DeployError(
            f"autocast is no part of a written program, which would be fp32, got {mode}; deploy with"
            f" {replace(mode, cast=Cast.WEIGHTS)} or in fp32 first"
        )
    module, target = deployed.prepared.module, _new_file(path)
    write_program(module, deployed.example, target, facts=deployed.facts, check=_check_against(deployed))


def save_onnx(deployed: Deployed, path: str | os.PathLike[str]) -> None:
    """Write the network as ONNX, for any batch size, after running it in onnxruntime.

    Raises:
        DeployError: the extra is not installed, the mode's precision is not fp32 (onnxruntime's kernels for a
            CPU are), the model cannot be exported, onnxruntime computes something else, or the file is there
            already.
    """
    if deployed.mode.precision is not Precision.FP32:
        raise DeployError(f"ONNX is written in fp32, got {deployed.mode}; deploy with an fp32 mode first")
    module, target = copy.deepcopy(deployed.prepared.module).cpu(), _new_file(path)  # onnxruntime runs there
    example, check = deployed.example.cpu(), _check_against(deployed)
    write_onnx(module, example, target, facts=deployed.facts, check=check)


def _check_against(deployed: Deployed) -> Check:
    """What is written computes what was deployed."""

    def check(run: Run) -> None:
        with torch.inference_mode():
            expected = deployed.prepared(deployed.example).float()
            error, _ = compare_logits(run(deployed.example).float().cpu(), expected.cpu())
        _check(error, deployed.prepared)

    return check


def _check(error: float, prepared: Prepared) -> None:
    mode, limit = prepared.mode, bound_error(prepared.module, prepared.mode.precision)
    if not error <= limit:
        raise DeployError(
            f"in {mode} the logits differ from eager fp32 by {error:.2g} of the largest one, rounding to"
            f" {mode.precision} explains {limit:.2g} in such a network: use a mode of higher precision"
        )


def _new_file(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.exists():
        raise DeployError(f"{target} exists already; choose another file")
    if not target.parent.is_dir():
        raise DeployError(
            f"{target} cannot be written: there is no folder {target.parent}; make it, or choose another file"
        )
    return target
