"""The steps of a training on CUDA: all values that change from step to step are on the device.

The host neither gives a step a value nor waits for one, so a step can be replayed as a graph
(`eml_models.training.step_graph`). Eager steps are the same code, so both give the same bits. A block of
images is augmented and prepared by eager operators; a step takes its rows from it. The learning rates, the
shares of the average and the losses of an epoch are tables, in which a counter on the device is the place.

`eml_models.training.loop.Fit` uses it on CUDA. On a CPU it has a loop without tables.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

import torch

from eml_models.data.batches import Batch
from eml_models.training.averaging import WeightAverage
from eml_models.training.step import TrainingStep
from eml_models.training.step_graph import Capturer, StepGraphs
from eml_models.training.step_meter import DeviceClock, StepMeter, StepTimes


class _Tables:
    """The values of an epoch's steps, on the device.

    Attributes:
        place: the number of the present step, from 0; one whole number, with which the tables are read.
        cursor: the row of the block at which the present batch begins.
        rates, shares, losses: (steps,); the learning rate, the share of the average, the loss.
        rate, share: those of the present step, as tensors without dimensions.
        correct: the number of correctly classified images so far.
    """

    def __init__(self, num_steps: int, sizes: Collection[int], device: torch.device) -> None:
        counters = torch.zeros(2, dtype=torch.int64, device=device)
        self.cursor, self.place = counters[0], counters[1:]
        self.rates, self.shares, self.losses = (torch.zeros(num_steps, device=device) for _ in range(3))
        self._rate, self._share = torch.zeros(1, device=device), torch.zeros(1, device=device)
        self.rate, self.share = self._rate[0], self._share[0]
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        self._counters = counters
        self._strides = {size: torch.tensor([size, 1], device=device) for size in sizes}

    def read_rate(self) -> None:
        """Set `rate`. An index by `[]` would make the host wait for the place."""
        torch.index_select(self.rates, 0, self.place, out=self._rate)

    def read_share(self) -> None:
        """Set `share`."""
        torch.index_select(self.shares, 0, self.place, out=self._share)

    def restart(self) -> None:
        """Go back to the first step of the epoch and the first row of the block."""
        self._counters.zero_()

    def note(self, logits: torch.Tensor, labels: torch.Tensor, loss: torch.Tensor) -> None:
        """Add the result of the present step, and go to the next."""
        self.losses.index_copy_(0, self.place, loss.float().view(1))
        self.correct.add_((logits.argmax(1) == labels).sum())
        self._counters.add_(self._strides[len(labels)])


class _Work:
    """One step as work of the device alone: a graph repeats it without this code."""

    def __init__(
        self,
        step: TrainingStep,
        average: WeightAverage | None,
        *,
        bounds: Sequence[int],
        device: torch.device,
    ) -> None:
        self.step, self.average = step, average
        self.sizes = {stop - start for start, stop in pairwise(bounds)}
        self.tables = _Tables(len(bounds) - 1, self.sizes, device)
        self.images = self.labels = torch.empty(0, device=device)
        self._offsets = torch.arange(max(self.sizes), device=device)

    def __call__(self, size: int) -> None:
        tables = self.tables
        rows = tables.cursor + self._offsets[:size]
        images, labels = self.images[rows], self.labels[rows]  # index_select would lose the layout
        tables.read_rate()
        logits, loss = self.step(images, labels)
        if self.average:
            tables.read_share()
            self.average.update_by(tables.share)
        tables.note(logits, labels, loss)


class DeviceSteps:
    """Trains batches of blocks, one step at a time.

    Args:
        bounds: of an epoch's batches, see `eml_models.data.batches.batch_bounds`.
        device: of the network and of the images.
        eager_because: the reason if the steps are not to be graphs.
        clock: of the device; None for steps that are not measured.
    """

    def __init__(
        self,
        step: TrainingStep,
        average: WeightAverage | None,
        *,
        bounds: Sequence[int],
        device: torch.device,
        capturer: Capturer,
        eager_because: str | None,
        clock: DeviceClock | None = None,
    ) -> None:
        self._capturer = capturer
        self._meter = StepMeter(clock)
        self._work = _Work(step, average, bounds=bounds, device=device)
        # no reference of the graphs leads back to this object: their memory is free once the training is
        self.graphs = StepGraphs(
            self._work,
            step.forget_unfinished,
            sizes=self._work.sizes,
            capturer=capturer,
            eager_because=eager_because,
        )
        self.adopt_optimizer()

    def working(self) -> AbstractContextManager[None]:
        """A context for all work of the training on the device."""
        return self._capturer.working()

    def adopt_optimizer(self) -> None:
        """Let the optimizer read its learning rate from the device, and keep its own counts there.

        To be called again after the optimizer has loaded a state. Earlier graphs are dropped.
        """
        self.graphs.drop()
        keep_on_device(self._work.step.optimizer, self._work.tables.rate)

    def begin_epoch(self, rates: Sequence[float], first_step: int) -> None:
        """Fill the tables.

        Args:
            rates: the learning rate of each step of the epoch.
            first_step: number of steps before the epoch.
        """
        tables, average = self._work.tables, self._work.average
        tables.rates.copy_(torch.tensor(rates))
        if average:
            shares = [average.share_at(first_step + i) for i in range(len(rates))]
            tables.shares.copy_(torch.tensor(shares))
        tables.restart()
        tables.correct.zero_()
        self._meter.begin_epoch()

    def begin_block(self, block: Sequence[Batch]) -> None:
        """Copy a block of batches to where the steps take their rows from."""
        work = self._work
        images, labels = [images for images, _ in block], [labels for _, labels in block]
        count = sum(map(len, labels))
        if len(work.labels) < count:
            self.graphs.drop()  # they read the old place
            most = len(block) * max(work.sizes)
            work.images, work.labels = _room(images[0], most), _room(labels[0], most)
        torch.cat(images, out=work.images[:count])
        torch.cat(labels, out=work.labels[:count])
        work.tables.cursor.zero_()

    def advance(self, size: int) -> None:
        """Train the next `size` images of the block."""
        self._meter.take(lambda: self.graphs.advance(size), way=self.graphs.way(size))

    def end_epoch(self) -> None:
        """Note that all steps of the epoch are queued; nothing has waited for them yet."""
        self._meter.end_epoch()

    def read_times(self) -> StepTimes | None:
        """The times of a step so far, once the host has waited for the epoch; None if none was measured."""
        self._meter.read()
        return self._meter.times

    def rewind(self) -> None:
        """Go back to the first image of the block, and to the first step of the epoch."""
        self._work.tables.restart()

    @property
    def losses(self) -> torch.Tensor:
        """The loss of each step of the epoch, (steps,)."""
        return self._work.tables.losses

    @property
    def correct(self) -> torch.Tensor:
        """The number of images of the epoch that were correctly classified."""
        return self._work.tables.correct


def keep_on_device(optimizer: torch.optim.Optimizer, rate: torch.Tensor) -> None:
    """Let an optimizer of `eml_models.training.optimizers` work without values of the host.

    Args:
        rate: the learning rate, a tensor without dimensions on the device of the parameters.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
        if "capturable" in group:
            group["capturable"] = True
    for state in optimizer.state.values():
        if isinstance(state.get("step"), torch.Tensor):
            state["step"] = state["step"].to(rate.device)
    # torch warns of eager steps of such an optimizer, which here come before the graph
    optimizer._warned_capturable_if_run_uncaptured = True  # of torch's own use


def as_on_host(state: Mapping[str, Any], rate: float) -> dict[str, Any]:
    """The state of an optimizer without what `keep_on_device` has set, so that any device can load it."""
    groups = [
        {**group, "lr": rate, **({"capturable": False} if "capturable" in group else {})}
        for group in state["param_groups"]
    ]
    return {**state, "param_groups": groups}


def _room(like: torch.Tensor, count: int) -> torch.Tensor:
    """An empty tensor for `count` rows in the type and layout of `like`."""
    is_last = like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last)
    return torch.empty(
        (count, *like.shape[1:]),
        dtype=like.dtype,
        device=like.device,
        memory_format=torch.channels_last if is_last else torch.contiguous_format,
    )
