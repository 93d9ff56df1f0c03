"""Writes trained networks into files that other programs run: programs of torch.export, or ONNX.

`export_trained` writes the network of a snapshot, in fp32; the file's suffix decides the format.
`eml_models.latency.deploy` writes its deployed forms by the same `write_program` and `write_onnx`. Each
written network is run and compared before its file appears, and the file holds the network's facts
(`eml_models.data.facts`).

The packages load a program of torch.export only if they have just made it themselves: loading a foreign
program may run code of its author. Snapshots are read as data only, and ONNX files hold no Python.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from eml_models import seeds
from eml_models.data.facts import NetworkFacts
from eml_models.errors import DeployError, InvalidValueError
from eml_models.training.snapshot import copy_snapshot, load_trained
from eml_models.training.trained import TrainedNetwork
from eml_models.whole_files import write_whole
from eml_models.wording import first_line

SNAPSHOT, PROGRAM, ONNX = ".pt", ".pt2", ".onnx"

FACTS_FILE = "network.json"
"""The extra file of a program that holds the network's facts."""

INPUT, OUTPUT = "images", "logits"
"""The names of the images and the logits in ONNX."""

FP32_TOLERANCE = 1e-4
"""The largest difference of a logit that rounding in fp32 explains, as a share of the largest logit."""

CHECKED_IMAGES = 8

Run = Callable[[torch.Tensor], torch.Tensor]
"""A written network: images to logits."""

Check = Callable[[Run], None]
"""Raises `DeployError` if a written network computes other logits."""


def export_trained(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> NetworkFacts:
    """Write a snapshot's network; the suffix ``.pt``, ``.pt2`` or ``.onnx`` decides the format.

    ``.pt`` is a copy of the snapshot, for `load_trained`. The other two take float32 images (N, C, H, W) with
    the values that the data set stores, for any N, and return logits (N, classes). They are in fp32, whatever
    the precision of the training.

    Returns:
        The facts that are needed to use the network; the file holds them too.

    Raises:
        InvalidValueError: another suffix, a target that exists already, or a source that is no snapshot.
        DeployError: the network cannot be exported, or the written network computes other logits.
        OSError: the target could not be written.
    """
    suffix = require_suffix(target)
    target = require_new(target)
    if suffix == SNAPSHOT:
        return copy_snapshot(source, target)
    network = load_trained(source)
    export_network(network, target)
    return network.facts


def export_network(network: TrainedNetwork, target: str | os.PathLike[str]) -> None:
    """Write a trained network as ``.pt2`` or ``.onnx``, see `export_trained`.

    Raises:
        InvalidValueError: another suffix, or a target that exists already.
        DeployError: the network cannot be exported, or the written network computes other logits.
        OSError: the target could not be written.
    """
    writers = {PROGRAM: write_program, ONNX: write_onnx}
    write, target = writers[require_suffix(target, tuple(writers))], require_new(target)
    images = draw_images(network.facts)
    with torch.inference_mode():
        expected = network(images)

    def check(run: Run) -> None:
        error, _ = compare_logits(run(images), expected)
        if not error <= FP32_TOLERANCE:
            raise DeployError(
                f"the written network differs from the original by {error:.2g} of the largest logit; rounding"
                f" explains at most {FP32_TOLERANCE:g}"
            )

    write(network, images, target, facts=network.facts, check=check)


def require_suffix(target: str | os.PathLike[str], known: tuple[str, ...] = (SNAPSHOT, PROGRAM, ONNX)) -> str:
    """The suffix of a file to write.

    Raises:
        InvalidValueError: the suffix is not in `known`; the message lists these.
    """
    suffix = Path(target).suffix
    if suffix not in known:
        suffixes = f"{', '.join(known[:-1])} or {known[-1]}"
        raise InvalidValueError(f"a network's file must end in {suffixes}, got {str(target)!r}")
    return suffix


def require_new(target: str | os.PathLike[str]) -> Path:
    """The file to write.

    Raises:
        InvalidValueError: it exists already, or its folder is not.
    """
    path = Path(target)
    if path.exists():
        raise InvalidValueError(f"{target} exists already; choose another file")
    if not path.parent.is_dir():
        raise InvalidValueError(
            f"the folder of a network's file must exist, got {str(target)!r}: there is no folder"
            f" {str(path.parent)!r}; make it, or choose another file"
        )
    return path


def write_program(
    module: nn.Module,
    example: torch.Tensor,
    target: Path,
    *,
    facts: NetworkFacts | None = None,
    check: Check,
) -> None:
    """Write a module as a program of torch.export, for any batch size; ``torch.export.load`` reads it.

    Args:
        example: images of the shape and type that the module takes.
        facts: kept in the program's extra file `FACTS_FILE`.
        check: called with the written program before the file appears.

    Raises:
        DeployError: the module cannot be exported, or what `check` raises.
        OSError: the file could not be written.
    """
    extra = {} if facts is None else {FACTS_FILE: json.dumps(facts.as_dict(dtype=_name(example.dtype)))}
    content = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # torch warns that weights in channels_last are not one plain block; `check` shows they return
            warnings.simplefilter("ignore")
            torch.export.save(_trace(module, example), content, extra_files=extra)
    except Exception as error:  # an exporter may raise anything; each error means the same here
        raise DeployError(f"the model cannot be exported: {first_line(error)}") from error
    check(_read_back(content))
    write_whole(target, content.getbuffer())


def write_onnx(
    module: nn.Module,
    example: torch.Tensor,
    target: Path,
    *,
    facts: NetworkFacts | None = None,
    check: Check,
) -> None:
    """Write a module on the CPU as ONNX, for any batch size.

    Args:
        example: fp32 images of the shape that the module takes.
        facts: kept in the model's ``metadata_props``, each as JSON text.
        check: called with the network, as onnxruntime runs it, before the file appears.

    Raises:
        DeployError: the extra `onnx` is not installed, the module cannot be exported, or what `check` raises.
        OSError: the file could not be written.
    """
    properties = {} if facts is None else {k: json.dumps(v) for k, v in facts.as_dict().items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns about its own code
            exported: Any = torch.onnx.export(
                _trace(module, example.contiguous()),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamo=True,
                verbose=False,
            )
            exported.model.metadata_props.update(properties)
            content = exported.model_proto.SerializeToString()
        run = load_onnx(content)
    except ImportError as error:
        raise DeployError(f"ONNX needs the extra: pip install 'tune-jobs[onnx]' ({error})") from error
    except Exception as error:  # an exporter may raise anything; each error means the same here
        raise DeployError(f"the model cannot be exported to ONNX: {first_line(error)}") from error
    check(run)
    write_whole(target, content)


def load_onnx(model: str | os.PathLike[str] | bytes, *, threads: int = 1) -> Run:
    """Load a network in ONNX, from a file or its bytes, into onnxruntime on the CPU.

    Returns:
        A function from images (N, C, H, W) in fp32 to logits (N, classes).
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    source = model if isinstance(model, bytes) else os.fspath(model)
    session: Any = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def run(images: torch.Tensor) -> torch.Tensor:
        (logits,) = session.run(None, {INPUT: images.cpu().contiguous().numpy()})
        return torch.from_numpy(logits)

    return run


def compare_logits(found: torch.Tensor, expected: torch.Tensor) -> tuple[float, float]:
    """The largest difference as a share of the largest logit, and the share of equal classes.

    The largest logit is measured from the mean of its image. A value that all classes share decides nothing;
    if it were large, it would hide that a written network confuses the classes.
    """
    decisive = expected - expected.mean(1, keepdim=True) if expected.shape[1] > 1 else expected
    largest = decisive.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    error = float((found - expected).abs().max() / largest)
    return error, float((found.argmax(1) == expected.argmax(1)).float().mean())


def draw_images(facts: NetworkFacts, count: int = CHECKED_IMAGES) -> torch.Tensor:
    """Random images (N, C, H, W), fp32, over the value range of the stored images; the same in each call."""
    low, high = facts.data.value_range
    chance = torch.Generator().manual_seed(seeds.derive(0, 0, "images"))
    return low + (high - low) * torch.rand(count, *facts.data.input_shape, generator=chance)


def _trace(module: nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    """The module as a program for any batch size, without the paths of this machine's code."""
    images = (
        example if example.shape[0] > 1 else example.repeat(2, 1, 1, 1)
    )  # a batch of 1 would become a constant
    program = torch.export.export(module, (images,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    return program


def _read_back(content: io.BytesIO) -> Run:
    """Load the program that was just written into this memory; no other code loads a program."""
    content.seek(0)
    with warnings.catch_warnings():
        # torch 2.11 warns that it reads from bytes that must not be written; nothing writes to them
        warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
        program: Run = torch.export.load(content).module()

    def run(images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return program(images)

    return run


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
