"""Brings a copy of a model into a mode, so that calling it runs just that mode.

The model itself is left as found; process-wide settings (TF32, cuDNN's search) are set during a call and put
back. Called by `measure`, `worker` and `deploy`.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from eml_models.errors import UnsupportedModeError
from eml_models.latency.conditions import find_capabilities
from eml_models.latency.folding import fold_batch_norms
from eml_models.latency.modes import (
    COMPILED,
    HALF,
    Cast,
    Execution,
    Layout,
    Mode,
    Precision,
    unsupported_reason,
)

DTYPES = {
    Precision.FP32: torch.float32,
    Precision.TF32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
}
WARM_UP_CALLS = 3
"""Before a CUDA graph is captured, on a stream of its own, as torch asks for."""


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
            raise UnsupportedModeError(f"mode {mode} on {device.type}: {reason}")
        self.mode, self.device, self.kernel_search = mode, device, kernel_search
        self.dtype = DTYPES[mode.precision] if mode.cast is Cast.WEIGHTS else torch.float32
        self.module = build_eager(model, mode, device, self.dtype)
        self._call: Callable[[torch.Tensor], torch.Tensor] = self.module
        if mode.execution in COMPILED:
            name = "default" if mode.execution is Execution.COMPILE else mode.execution.value
            # fullgraph: a break would leave a part eager without a word; dynamic: one shape is measured
            self._call = torch.compile(self.module, mode=name, fullgraph=True, dynamic=False)
        self._graphs: dict[torch.Size, Callable[[torch.Tensor], torch.Tensor]] = {}

    def place(self, images: torch.Tensor) -> torch.Tensor:
        """Images on the device, in the type and layout of the mode."""
        return images.to(self.device, self.dtype, memory_format=memory_format(self.mode))

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Run on images that `place` has placed.

        Raises:
            UnsupportedModeError: the model cannot be compiled.
        """
        with torch.inference_mode(), _settings(self.mode, self.device, kernel_search=self.kernel_search):
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
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the compiler's own deprecations and advice
                return self._run(images)
        except Exception as error:  # a compiler may raise anything; all of it means: not in this mode
            if is_out_of_memory(error):
                raise
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UnsupportedModeError(f"the model cannot be compiled for {self.mode}: {first}") from error

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
        with torch.cuda.graph(graph):
            logits = self._run(static)

        def replay(images: torch.Tensor) -> torch.Tensor:
            static.copy_(images)
            graph.replay()
            return logits

        return replay


def build_eager(model: nn.Module, mode: Mode, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A copy in eval mode on the device: folded, cast, laid out; not compiled."""
    module = copy.deepcopy(model).eval().requires_grad_(False)
    if mode.folded:
        fold_batch_norms(module)
    return module.to(device=device, dtype=dtype).to(memory_format=memory_format(mode))


def memory_format(mode: Mode) -> torch.memory_format:
    """Torch's name of the mode's layout."""
    return torch.channels_last if mode.layout is Layout.CHANNELS_LAST else torch.contiguous_format


@contextmanager
def _settings(mode: Mode, device: torch.device, *, kernel_search: bool) -> Iterator[None]:
    """On CUDA: FP32 products exact or in TF32, as the mode says (torch's default: TF32 in convolutions), and
    cuDNN's search for the quickest kernel on or off. A CPU has neither."""
    if device.type != "cuda":
        yield
        return
    search = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = kernel_search
    backends: Any = torch.backends  # its stubs lack the convolutions' precision
    places = () if mode.precision in HALF else (backends.cuda.matmul, backends.cudnn.conv)
    before = [place.fp32_precision for place in places]
    for place in places:
        place.fp32_precision = "tf32" if mode.precision is Precision.TF32 else "ieee"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = search
        for place, value in zip(places, before, strict=True):
            place.fp32_precision = value


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice: on CUDA a type of its own, on a CPU words."""
    words = ("can't allocate memory", "out of memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        word in str(error).lower() for word in words
    )
