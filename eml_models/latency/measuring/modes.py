"""The modes in which a network can be run, and which of them a device has.

A mode is precision x how it is reached x memory layout x execution x batch norms folded or not; written as
one word, ``bf16-autocast/nchw/eager`` or ``fp32/channels_last/compile/folded``. Values and rules only: torch
is asked nothing here, `Capabilities` says what there is, so that a GPU's rules are tested without one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from eml_models.errors import InvalidValueError


class Precision(StrEnum):
    """The numbers that products are computed in. TF32: fp32 tensors, products with 10 bits on tensor cores.

    CONV_TF32 is torch's default on a GPU: TF32 in convolutions, where the GPU has it, and exact
    products in linear layers.
    """

    FP32 = "fp32"
    CONV_TF32 = "tf32conv"
    TF32 = "tf32"
    BF16 = "bf16"
    FP16 = "fp16"


class Cast(StrEnum):
    """How 16 bits are reached: cast at each operator, or the weights once beforehand."""

    NONE = "none"
    AUTOCAST = "autocast"
    WEIGHTS = "weights"


class Layout(StrEnum):
    """The order of a map's elements in memory."""

    NCHW = "nchw"
    CHANNELS_LAST = "channels_last"


class Execution(StrEnum):
    """Who launches the kernels."""

    EAGER = "eager"
    COMPILE = "compile"
    REDUCE_OVERHEAD = "reduce-overhead"
    MAX_AUTOTUNE = "max-autotune"
    GRAPH = "graph"


COMPILED = (Execution.COMPILE, Execution.REDUCE_OVERHEAD, Execution.MAX_AUTOTUNE)
HALF = (Precision.BF16, Precision.FP16)
FOLDED = "folded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One way to run a network.

    Attributes:
        precision: the type of its numbers.
        cast: what is cast to it: nothing in fp32; the weights, or what autocast casts.
        layout: the order of images and maps in memory.
        execution: eager, or as a compiled program or a graph.
        folded: batch norms are merged into the convolutions before them.
    """

    precision: Precision = Precision.FP32
    cast: Cast = Cast.NONE
    layout: Layout = Layout.NCHW
    execution: Execution = Execution.EAGER
    folded: bool = False

    def __post_init__(self) -> None:
        if (self.precision in HALF) != (self.cast is not Cast.NONE):
            raise InvalidValueError(
                f"bf16 and fp16 are reached by autocast or by casting weights, fp32 and tf32 by neither; got"
                f" {self.precision} with {self.cast}"
            )

    def __str__(self) -> str:
        precision = self.precision.value + ("" if self.cast is Cast.NONE else f"-{self.cast}")
        words = [precision, self.layout.value, self.execution.value, *([FOLDED] if self.folded else [])]
        return "/".join(words)


PLAIN = Mode()
"""fp32, NCHW, eager: exact products."""


def untouched_mode(kind: str) -> Mode:
    """The mode that torch uses by default on a kind of device: other modes are compared with it."""
    return Mode(precision=Precision.CONV_TF32) if kind == "cuda" else PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a device and this machine have.

    Attributes:
        kind: ``cpu`` or ``cuda``.
        name: of the device.
        compute_capability: of a CUDA device; (0, 0) of a CPU.
        compiler: path of the C++ compiler that torch.compile needs on a CPU; None if there is none.
        has_triton: what torch.compile needs on a GPU.
    """

    kind: str
    name: str
    compute_capability: tuple[int, int] = (0, 0)
    compiler: str | None = None
    has_triton: bool = False


def unsupported_reason(mode: Mode, device: Capabilities) -> str | None:
    """Why a device does not have a mode; None if it has it."""
    return _reason_on_cuda(mode, device) if device.kind == "cuda" else _reason_on_cpu(mode, device)


def parse_mode(text: str) -> Mode:
    """The mode that a word of slashes names; parts that are left out are those of `PLAIN`.

    Raises:
        InvalidValueError: an unknown part, or two of one kind.
    """
    found: dict[str, object] = {}
    for part in text.strip().split("/"):
        for name, value in _parse_part(part):
            if name in found:
                raise InvalidValueError(f"mode {text!r} says its {name} twice")
            found[name] = value
    return Mode(**found)  # type: ignore[arg-type]  # each name comes with a value of its own type


def iter_all_modes() -> Iterator[Mode]:
    """Every mode there is, whether a device has it or not."""
    reached = [(one, Cast.NONE) for one in Precision if one not in HALF]
    reached += [(precision, cast) for precision in HALF for cast in (Cast.AUTOCAST, Cast.WEIGHTS)]
    for (precision, cast), layout, execution, folded in itertools.product(
        reached, Layout, Execution, (False, True)
    ):
        yield Mode(precision=precision, cast=cast, layout=layout, execution=execution, folded=folded)


def default_modes(kind: str) -> tuple[Mode, ...]:
    """The modes that answer the five hypotheses on a kind of device, few enough for some minutes.

    On a CPU none is compiled, which takes half a minute per network; the waterfall's last stage is compiled.
    """
    words = _DEFAULT_ON_CUDA if kind == "cuda" else _DEFAULT_ON_CPU
    return tuple(map(parse_mode, words))


_DEFAULT_ON_CPU = (
    "fp32/nchw/eager",
    "fp32/channels_last/eager",
    "fp32/channels_last/eager/folded",
    "bf16-autocast/nchw/eager",
    "bf16-weights/nchw/eager",
    "bf16-weights/channels_last/eager/folded",
)
_DEFAULT_ON_CUDA = (
    "fp32/nchw/eager",
    "tf32/nchw/eager",
    "fp16-autocast/nchw/eager",
    "fp16-autocast/nchw/compile",
    "fp16-autocast/nchw/graph",
    "fp16-weights/nchw/eager",
    "fp16-weights/nchw/graph",
    "fp16-weights/channels_last/graph",
    "fp16-weights/channels_last/graph/folded",
    "fp16-weights/channels_last/reduce-overhead/folded",
    "bf16-weights/channels_last/graph/folded",
)


def _reason_on_cpu(mode: Mode, device: Capabilities) -> str | None:
    if mode.precision in (Precision.TF32, Precision.CONV_TF32):
        return "TF32 is a format of NVIDIA's tensor cores; a CPU has none"
    if mode.execution is Execution.GRAPH:
        return "CUDA graphs exist on CUDA devices only"
    if mode.execution is Execution.REDUCE_OVERHEAD:
        return "reduce-overhead is torch.compile with CUDA graphs; on a CPU it is compile"
    if mode.execution in COMPILED and device.compiler is None:
        return "torch.compile needs a C++ compiler on a CPU, and none was found (install g++ or set CXX)"
    return None


def _reason_on_cuda(mode: Mode, device: Capabilities) -> str | None:
    major, minor = device.compute_capability
    ampere = "an Ampere GPU or newer (compute capability 8.0)"
    if mode.precision in (Precision.TF32, Precision.BF16) and major < 8:
        return f"{mode.precision} needs {ampere}; {device.name} has {major}.{minor}"
    if mode.execution in COMPILED and not device.has_triton:
        return "torch.compile needs triton on a GPU, and it is not installed"
    if mode.execution in COMPILED and major < 7:
        return f"triton needs compute capability 7.0; {device.name} has {major}.{minor}"
    return None


def _parse_part(part: str) -> Iterator[tuple[str, object]]:
    precision, _, cast = part.partition("-")
    if precision in set(Precision):
        yield "precision", Precision(precision)
        if cast in {Cast.AUTOCAST.value, Cast.WEIGHTS.value}:
            yield "cast", Cast(cast)
            return
        if not cast:
            return
    elif part in set(Layout):
        yield "layout", Layout(part)
        return
    elif part in set(Execution):
        yield "execution", Execution(part)
        return
    elif part == FOLDED:
        yield "folded", True
        return
    precisions = "fp32, tf32conv, tf32, bf16-autocast, bf16-weights, fp16-autocast, fp16-weights"
    raise InvalidValueError(
        f"unknown part {part!r} of a mode; a mode is PRECISION/LAYOUT/EXECUTION[/folded] with PRECISION"
        f" {precisions}; LAYOUT {', '.join(Layout)}; EXECUTION {', '.join(Execution)}"
    )
