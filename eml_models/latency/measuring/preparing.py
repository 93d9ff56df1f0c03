"""Brings a copy of a model into a mode, so that calling it runs just that mode.

The model itself is left as found; process-wide settings (TF32, cuDNN's search, the compiler's limits) are set
during a call, or around many of them, and put back. Called by `timing`, `bench.worker` and `deploy`.
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from eml_models.errors import InvalidValueError, NotCompiledError, UnsupportedModeError, describe_cause
from eml_models.latency.measuring.casting import cast_weights
from eml_models.latency.measuring.conditions import find_capabilities
from eml_models.latency.measuring.folding import fold_batch_norms
from eml_models.latency.measuring.modes import (
    COMPILED,
    Cast,
    Execution,
    Layout,
    Mode,
    Precision,
    unsupported_reason,
)
from eml_models.training.cuda_capture import own_workspaces
from eml_models.training.device_errors import is_out_of_memory

DTYPES = {
    Precision.FP32: torch.float32,
    Precision.CONV_TF32: torch.float32,
    Precision.TF32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
}
WARM_UP_CALLS = 3
"""Before a CUDA graph is captured, on a stream of its own, as torch asks for; a compiler's own graphs take as
many: one to compile, one to record, one to replay."""


class Prepared:
    """A copy of a model in a mode, on a device: images in, logits out, without gradients.

    Args:
        kernel_search: on CUDA, cuDNN tries its kernels for each shape and keeps the quickest.

    Attributes:
        module: the copy, in eval mode, folded, cast and laid out, not compiled.
        dtype: of the images that it takes; autocast casts them itself.
    """

    def __init__(
        self, model: nn.Module, mode: Mode, device: torch.device, *, kernel_search: bool = True
    ) -> None:
        reason = unsupported_reason(mode, find_capabilities(device))
        if reason is not None:
            raise UnsupportedModeError(f"mode {mode} on {device.type}", reason)
        self.mode, self.device, self.kernel_search = mode, device, kernel_search
        self.dtype = DTYPES[mode.precision] if mode.cast is Cast.WEIGHTS else torch.float32
        self.module = build_eager(model, mode, device, self.dtype)
        self._call: Callable[[torch.Tensor], torch.Tensor] = self.module
        if mode.execution in COMPILED:
            name = "default" if mode.execution is Execution.COMPILE else mode.execution.value
            # fullgraph: a break would leave a part eager without a word; dynamic: one shape is measured
            self._call = torch.compile(self.module, mode=name, fullgraph=True, dynamic=False)
        self._calls: Counter[torch.Size] = Counter()
        self._graphs: dict[torch.Size, Callable[[torch.Tensor], torch.Tensor]] = {}

    def place(self, images: torch.Tensor) -> torch.Tensor:
        """Images on the device, in the type and layout of the mode.

        Raises:
            InvalidValueError: they are no batch of images.
        """
        if images.ndim != 4 or not images.shape[0]:
            raise InvalidValueError(
                f"images must be (N, C, H, W) with at least one of them, got {tuple(images.shape)}"
            )
        return images.to(self.device, self.dtype, memory_format=memory_format(self.mode))

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Run on images that `place` has placed.

        Returns:
            Logits (N, classes). Where CUDA graphs are replayed they lie in the graph's own memory, which the
            next call writes anew: copy what is to be kept.

        Raises:
            NotCompiledError: the model cannot be compiled.
        """
        with self.settings():
            return self.run(images)

    @contextmanager
    def settings(self) -> Iterator[None]:
        """What the mode sets in the whole process; put back at the end."""
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if torch.is_autocast_enabled(self.device.type):  # the caller's; a mode enters its own
                stack.enter_context(torch.autocast(self.device.type, enabled=False))
            if self.device.type == "cuda":  # a graph is captured on the device that is current
                stack.enter_context(torch.cuda.device(self.device))
                stack.enter_context(_cuda_settings(self.mode, kernel_search=self.kernel_search))
            yield

    def run(self, images: torch.Tensor) -> torch.Tensor:
        """The same as a call, within `settings`: a timing is to hold no time of setting and putting back."""
        if self.mode.execution is Execution.GRAPH:
            return self._replay(images)
        if self.mode.execution in COMPILED:
            return self._run_compiled(images)
        return self._run(images)

    def _run(self, images: torch.Tensor) -> torch.Tensor:
        if self.mode.cast is not Cast.AUTOCAST:
            return self._call(images)
        # a new context each time, as training loops have: no cast outlives its batch
        with torch.autocast(self.device.type, DTYPES[self.mode.precision]):
            return self._call(images)

    def _run_compiled(self, images: torch.Tensor) -> torch.Tensor:
        # 50 us of a call, and needed only while something is compiled or recorded: the first calls of a shape
        compiling = self._calls[images.shape] < WARM_UP_CALLS
        self._calls[images.shape] += 1
        try:
            with _compiler_settings() if compiling else nullcontext():
                return self._run(images)
        except Exception as error:  # a compiler may raise anything; all of it means: not in this mode
            if is_out_of_memory(error):
                raise
            reason = f"the model cannot be compiled: {describe_cause(error)}"
            raise NotCompiledError(f"mode {self.mode} on {self.device.type}", reason) from error

    def _replay(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape not in self._graphs:
            self._graphs[images.shape] = self._capture(images)
        return self._graphs[images.shape](images)

    def _capture(self, images: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        static = images.clone(memory_format=torch.preserve_format)
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_CALLS):
                self._run(static)
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # torch's own stream for captures is made once, on the device that is current then
        with own_workspaces(), torch.cuda.graph(graph, stream=stream):
            logits = self._run(static)

        def replay(images: torch.Tensor) -> torch.Tensor:
            static.copy_(images)
            graph.replay()
            return logits

        return replay


def build_eager(model: nn.Module, mode: Mode, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A copy in eval mode on the device: folded, cast except its batch norms, laid out; not compiled."""
    module = copy.deepcopy(model).eval().requires_grad_(False)
    if mode.folded:
        fold_batch_norms(module)
    return cast_weights(module, dtype).to(device=device).to(memory_format=memory_format(mode))


def memory_format(mode: Mode) -> torch.memory_format:
    """Torch's name of the mode's layout."""
    return torch.channels_last if mode.layout is Layout.CHANNELS_LAST else torch.contiguous_format


@contextmanager
def _cuda_settings(mode: Mode, *, kernel_search: bool) -> Iterator[None]:
    """FP32 products exact or in TF32, as the mode says (torch's default: TF32 in convolutions), and cuDNN's
    search for the quickest kernel on or off.

    Set by torch's older names: inductor asks by these, and torch refuses to answer where only the newer
    ``fp32_precision`` was set (pytorch#166387, #189955).
    """
    backends: Any = torch.backends  # its stubs lack what is newer
    search, precisions = backends.cudnn.benchmark, _read_precisions(backends)
    backends.cudnn.benchmark = kernel_search
    torch.set_float32_matmul_precision("high" if mode.precision is Precision.TF32 else "highest")
    backends.cudnn.allow_tf32 = mode.precision in (Precision.TF32, Precision.CONV_TF32)
    try:
        yield
    finally:
        backends.cudnn.benchmark = search
        _write_precisions(backends, precisions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Precisions:
    """How fp32 products are computed in this process, by torch's older names and by its newer ones."""

    matmul: str
    allow_tf32: bool
    newer: tuple[str, ...]


def _newer_places(backends: Any) -> tuple[Any, ...]:
    """What the older names set besides themselves."""
    return backends.cuda.matmul, backends.mkldnn.matmul, backends.cudnn.conv, backends.cudnn.rnn


def _read_precisions(backends: Any) -> _Precisions:
    newer = tuple(place.fp32_precision for place in _newer_places(backends))
    try:
        matmul = torch.get_float32_matmul_precision()
    except RuntimeError:  # only the newer name was set; torch hides the older name, which differs
        matmul = "highest" if newer[0] == "tf32" else "high"
    try:
        allow_tf32 = backends.cudnn.allow_tf32
    except RuntimeError:
        allow_tf32 = newer[2:] != ("tf32", "tf32")
    return _Precisions(matmul=matmul, allow_tf32=allow_tf32, newer=newer)


def _write_precisions(backends: Any, precisions: _Precisions) -> None:
    torch.set_float32_matmul_precision(precisions.matmul)
    backends.cudnn.allow_tf32 = precisions.allow_tf32
    for place, value in zip(_newer_places(backends), precisions.newer, strict=True):
        place.fp32_precision = value


@contextmanager
def _compiler_settings() -> Iterator[None]:
    """Any number of compilations, and no word of the compiler's own deprecations and advice.

    dynamo counts them by the function that it compiles, which is one and the same for all modules of a class,
    and gives up at the ninth; here each belongs to a network or batch size of its own.
    """
    from torch._dynamo import config  # loads the compiler

    with (
        config.patch(recompile_limit=sys.maxsize, accumulated_recompile_limit=sys.maxsize),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
