"""What a network does, operator by operator, without hardware: MACs, bytes, kernels, casts.

A model is run on fake tensors, which have shapes and no values, and every operator that torch dispatches is
written down; views and empty allocations launch nothing and are left out. The kernels of an operator are the
fewest that eager torch launches for it on CUDA: one, except where `kernels_of` knows more. Not counted are
what a library launches inside a call (cuDNN's layout changes and its split sums, the second part of a
multi-tensor update) and what torch.compile fuses, so that a GPU launches more: 278 kernels on an H200 for a
ResNet-18's train step in fp32, of which 181 are counted here, and 589 for a MobileNet's, of which 413 are. A
train step is the forward pass in training mode, cross-entropy, the backward pass, and one fused update of all
weights (plain SGD).

Bytes are what each operator reads and writes once; caches and workspaces are left out. MACs as everywhere
here: of convolutions and linear layers, in the forward pass.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from eml_models.latency.counting.kernels import kernels_of
from eml_models.latency.measuring.casting import cast_weights

ALLOCATIONS = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")
CONVOLUTIONS = ("convolution", "cudnn_convolution", "mkldnn_convolution")
COPIES = ("_to_copy", "copy_", "clone")
_KIND_OF: Mapping[str, tuple[str, ...]] = {
    "batch norm": ("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm", "batch_norm"),
    "activation": ("relu", "relu_", "silu", "silu_", "hardtanh", "hardtanh_", "clamp_min"),
    "addition": ("add", "add_"),
    "pooling": ("mean", "avg_pool2d", "max_pool2d_with_indices", "_adaptive_avg_pool2d"),
    "linear": ("addmm", "mm"),
}


class OperatorKind(StrEnum):
    """What an operator of the forward pass does, as tables group it."""

    DENSE = "convolution"
    POINTWISE = "1x1 convolution"
    DEPTHWISE = "depthwise convolution"
    BATCH_NORM = "batch norm"
    ACTIVATION = "activation"
    ADDITION = "addition"
    POOLING = "pooling"
    LINEAR = "linear"
    CAST = "cast"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One dispatched operator that launches a kernel.

    Attributes:
        macs: multiply-adds of a convolution or linear layer; 0 for all others.
        activations: output elements of a convolution; 0 for all others.
        num_bytes: that it reads and writes.
        kernels: the fewest that it launches on CUDA.
    """

    name: str
    kind: OperatorKind
    kernels: int
    macs: int
    activations: int
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCounts:
    """The operators of one pass over a batch.

    Attributes:
        batch_size: images of the batch.
        operators: in the order in which they run.
    """

    batch_size: int
    operators: tuple[Operator, ...]

    @property
    def num_operators(self) -> int:
        return len(self.operators)

    @property
    def kernels(self) -> int:
        """The fewest kernels of eager torch on CUDA."""
        return sum(operator.kernels for operator in self.operators)

    @property
    def casts(self) -> int:
        return sum(operator.kind is OperatorKind.CAST for operator in self.operators)

    @property
    def macs(self) -> int:
        return sum(operator.macs for operator in self.operators)

    @property
    def activations(self) -> int:
        return sum(operator.activations for operator in self.operators)

    @property
    def num_bytes(self) -> int:
        return sum(operator.num_bytes for operator in self.operators)

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: FLOP (2 a MAC) per byte."""
        return 2 * self.macs / self.num_bytes

    def by_kind(self) -> dict[OperatorKind, OperatorCounts]:
        """The same for each kind that occurs, in the order of the kinds."""
        found = {kind: tuple(o for o in self.operators if o.kind is kind) for kind in OperatorKind}
        return {
            kind: OperatorCounts(batch_size=self.batch_size, operators=operators)
            for kind, operators in found.items()
            if operators
        }


def count_operators(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    *,
    batch_size: int = 1,
    dtype: torch.dtype = torch.float32,
    autocast: torch.dtype | None = None,
    train: bool = False,
) -> OperatorCounts:
    """The operators of a forward pass in eval mode, or of a train step; the model is left as found.

    Args:
        dtype: of weights and images; batch norms stay as they are (see `casting`).
        autocast: the type that autocast casts to, in a new context for this pass.
        train: count a train step; MACs and activations are those of its forward pass.
    """
    model = cast_weights(copy.deepcopy(model).cpu(), dtype).train(train)
    recorder = _Recorder()
    with FakeTensorMode(allow_non_fake_inputs=True):
        images = torch.empty(batch_size, *input_shape, dtype=dtype)
        labels = torch.empty(batch_size, dtype=torch.int64)
        casting = torch.autocast("cpu", autocast) if autocast else contextlib.nullcontext()
        if train:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
            with recorder:
                with casting:
                    loss = functional.cross_entropy(model(images), labels)
                recorder.is_forward = False
                loss.backward()
                optimizer.step()
        else:
            with torch.no_grad(), recorder, casting:
                model(images)
    return OperatorCounts(batch_size=batch_size, operators=tuple(recorder.operators))


class _Recorder(TorchDispatchMode):
    """Writes down what is dispatched while it is entered.

    Attributes:
        is_forward: whether matrix products are those of layers.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.operators: list[Operator] = []
        self.is_forward = True

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if launches(func):
            self.operators.append(_describe(func, args, kwargs or {}, out, is_forward=self.is_forward))
        return out


def launches(func: Any) -> bool:
    """Whether a dispatched operator launches a kernel: it is torch's own, no view and no mere allocation."""
    if func.namespace != "aten" or _name(func) in ALLOCATIONS:
        return False
    returns = func._schema.returns
    views = [r.alias_info is not None and not r.alias_info.is_write for r in returns]
    return not (views and all(views))


def _describe(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any, *, is_forward: bool
) -> Operator:
    name = _name(func)
    kind = _kind_of(name, args, out)
    outputs = list(_tensors(out))
    convolves = name in CONVOLUTIONS
    macs = 0
    if convolves:
        macs = prod(args[1].shape[1:]) * outputs[0].numel()
    elif kind is OperatorKind.LINEAR and is_forward:
        left, right = args[-2:]  # of a layer with a bias and of one without
        macs = left.shape[0] * left.shape[1] * right.shape[1]
    read = sum(map(_num_bytes, _tensors((args, dict(kwargs)))))
    written = sum(map(_num_bytes, outputs)) or sum(map(_num_bytes, _tensors(args[:1])))
    return Operator(
        name=name,
        kind=kind,
        kernels=kernels_of(name, args),
        macs=macs,
        activations=outputs[0].numel() if convolves else 0,
        num_bytes=read + written,
    )


def _kind_of(name: str, args: tuple[Any, ...], out: Any) -> OperatorKind:
    if name in CONVOLUTIONS:
        weight, groups = args[1], args[8] if len(args) > 8 else 1
        if groups > 1 and weight.shape[1] == 1:
            return OperatorKind.DEPTHWISE
        return OperatorKind.POINTWISE if weight.shape[-1] == 1 else OperatorKind.DENSE
    if name in COPIES and isinstance(out, torch.Tensor) and out.dtype is not args[0].dtype:
        return OperatorKind.CAST
    kinds = (kind for kind, names in _KIND_OF.items() if name in names)
    return OperatorKind(next(kinds, OperatorKind.OTHER))


def _name(func: Any) -> str:
    return str(func.overloadpacket.__name__)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor))


def _num_bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
