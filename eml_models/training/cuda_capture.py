"""Captures work on CUDA as graphs, and leaves torch as it was where a capture fails.

Training and the latency bench both capture graphs; `own_workspaces` is for both. Source of the rules: torch,
notes on CUDA semantics, "CUDA Graphs"; torch 2.11 and 2.14 were read for what a failed capture leaves behind.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

_failed: list[torch.cuda.CUDAGraph] = []
"""Graphs whose capture failed. torch may keep the address of such a graph, so it must stay where it is."""


class CudaCapturer:
    """Captures graphs on a stream of its own; their memory is one pool, which nothing else uses."""

    device_type = "cuda"

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Work on the stream of the captures; it begins after earlier work, and later work waits for it.

        A graph cannot be captured on torch's default stream, and autograd returns to the stream of a
        parameter's first use. So all steps are on this stream, the eager ones too.
        """
        with torch.cuda.device(self._device):
            outside = torch.cuda.current_stream(self._device)
            self._stream.wait_stream(outside)
            try:
                with torch.cuda.stream(self._stream):
                    yield
            finally:
                outside.wait_stream(self._stream)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Capture the work without doing it; returns the function that does it.

        Raises:
            Exception: of any type; the first error, not the errors that follow from it.
        """
        graph = torch.cuda.CUDAGraph()
        generator = torch.cuda.default_generators[self._device.index or 0]
        before = generator.clone_state()
        errors: list[Exception] = []
        try:
            with (
                _uncollected(),
                own_workspaces(),
                # other threads of the process may call CUDA meanwhile, for instance to load data
                torch.cuda.graph(
                    graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
                ),
            ):
                try:
                    work()
                except Exception as error:  # of any type: torch's own error of the broken capture hides it
                    errors.append(error)
                    raise
        except Exception as error:  # of any type: raised again below, once torch is in order
            _failed.append(graph)
            self._tidy_up(generator, before)
            raise (errors or [error])[0] from None
        return graph.replay

    def release(self) -> None:
        """Free the memory of graphs that were dropped, for torch's other work and for other processes."""
        torch.cuda.synchronize(self._device)
        torch.cuda.empty_cache()

    def _tidy_up(self, generator: torch.Generator, before: torch.Generator) -> None:
        """Put back what `torch.cuda.graph` puts back only if the capture's end succeeds."""
        generator.graphsafe_set_state(before)
        # else torch's allocator takes the capture for one under way, and frees less memory for later work
        end = getattr(torch._C, "_cuda_endAllocateToPool", None)
        if end is not None:
            try:
                end(self._device.index or 0, self._pool)
            except RuntimeError:  # the capture's end has done it
                return


@contextmanager
def own_workspaces() -> Iterator[None]:
    """A graph that is captured inside has cuBLAS's workspace in its own memory, as long as it lives.

    torch keeps one workspace per stream for the whole process. The calls before a capture make it, and the
    capture records its address. Code that clears the workspaces later frees that memory under the graph: a
    compiler's own graphs do so whenever they are recorded (torch/_inductor/cudagraph_trees.py), and cuDNN's
    search then gives the memory back to the driver. The graph's next replay writes there and ends the
    process. So no workspace exists when a capture begins, and the graph alone owns the workspace it makes.
    """
    torch._C._cuda_clearCublasWorkspaces()
    try:
        yield
    finally:
        torch._C._cuda_clearCublasWorkspaces()


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection inside: it might free a tensor or a graph, which breaks a capture."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
