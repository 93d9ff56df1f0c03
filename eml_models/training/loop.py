"""Trains one recipe: `fit` is an iterator that yields one `EpochReport` per epoch.

Knows nothing of searches. A notebook, a test and Ray's trainable all use the same iterator::

    for report in fit(Recipe(learning_rate=0.05, epochs=5)):
        print(report.epoch, report.val_accuracy)

On a CPU all runs of a recipe are equal to the bit, and earlier work of the process changes nothing: all
chance comes from the recipe's seed and the epoch, and torch's global generator is restored. On CUDA this
holds for `Kernels.DETERMINISTIC`; with the default kernels the last bits differ between runs. The caller sets
the number of threads (``torch.set_num_threads``). Nothing here uses the test set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import cycle
from pathlib import Path

import torch
from torch import nn

from eml_models import seeds
from eml_models.data.batches import Batch
from eml_models.data.loading import Dataset, load_dataset, resolve_device
from eml_models.errors import InvalidValueError
from eml_models.networks.registry import build_model
from eml_models.training.averaging import WeightAverage
from eml_models.training.batch_counts import counted_on_host
from eml_models.training.cuda_capture import CudaCapturer
from eml_models.training.device_state import chosen_kernels, peak_memory_bytes, seeded, synchronize
from eml_models.training.device_steps import DeviceSteps, as_on_host
from eml_models.training.divergence import check_finite, check_train_loss
from eml_models.training.epoch_report import EpochReport
from eml_models.training.evaluation import Evaluation, evaluate
from eml_models.training.execution import GRAPH, Execution, parse_execution, reason_to_stay_eager
from eml_models.training.images import choose_images
from eml_models.training.kernels import Kernels, parse_kernels
from eml_models.training.optimizers import build_optimizer
from eml_models.training.recipe import Recipe
from eml_models.training.snapshot import Snapshot, copy_to_cpu, load_snapshot
from eml_models.training.step import TrainingStep
from eml_models.training.step_graph import Capturer
from eml_models.training.step_meter import CudaClock, DeviceClock, StepTimes


def fit(
    recipe: Recipe,
    *,
    device: str | torch.device = "cpu",
    data_dir: str | Path | None = None,
    download: bool = False,
    resume_from: Snapshot | str | os.PathLike[str] | None = None,
    kernels: Kernels | str = Kernels.DEFAULT,
    execution: Execution | str = Execution.AUTO,
) -> Fit:
    """Prepare the training of a recipe; iterate over the result to train, one report per epoch.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        data_dir: folder of the data sets; None is ``data`` in the working folder.
        download: download the data set if it is missing.
        resume_from: a snapshot, or its file; the training continues from there.
        kernels: the choice of kernels on CUDA: ``default``, ``searched`` or ``deterministic``.
        execution: on CUDA, ``auto`` to replay steps as graphs where that is possible, or ``eager``.

    Raises:
        DatasetMissingError: the data set is missing or damaged.
        InvalidValueError: the device does not exist, the network cannot take the images, or the snapshot is
            of another training.
    """
    dataset = load_dataset(
        recipe.dataset, data_dir=data_dir, download=download, device=resolve_device(device)
    )
    training = Fit(recipe, dataset, kernels=parse_kernels(kernels), execution=parse_execution(execution))
    if resume_from is not None:
        training.restore(resume_from if isinstance(resume_from, Snapshot) else load_snapshot(resume_from))
    return training


class Fit(Iterator[EpochReport]):
    """A running training: an iterator over the epochs of its recipe.

    Attributes:
        module: the network, in eval mode between epochs; if the recipe has `ema_decay`, the averaged network.
            It takes standardised images. For a network that takes stored images, use `load_trained` on a
            saved snapshot.
        epoch: number of finished epochs.
        elapsed_s: training time so far.
        first_step_s: seconds from the start of the first epoch in this process to the end of its first step,
            including the loading of kernels; None before that.
        step_times: on CUDA the duration of a training step, and the share of it in which the device computes
            (`eml_models.training.step_meter`); None on a CPU, and before enough steps were measured.

    Args:
        capturer: captures steps as graphs; None for graphs on CUDA, and for a CPU's loop without graphs.
        clock: of the device, with `capturer`.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        *,
        kernels: Kernels = Kernels.DEFAULT,
        execution: Execution = Execution.AUTO,
        capturer: Capturer | None = None,
        clock: DeviceClock | None = None,
    ) -> None:
        self.recipe, self.dataset, self.device = recipe, dataset, dataset.device
        self.first_step_s: float | None = None
        self.step_times: StepTimes | None = None
        self._kernels = kernels
        self.epoch, self.elapsed_s = 0, 0.0
        self._images = choose_images(recipe, dataset)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        with seeded(self._seed("init"), self.device):
            module = build_model(
                recipe.model,
                input_shape=dataset.spec.input_shape,
                num_classes=dataset.spec.num_classes,
                **recipe.model_options,
            )
        self._trained: nn.Module = module.to(self.device, memory_format=self._images.prepare.memory_format)
        self._average = None
        if recipe.ema_decay is not None:
            self._average = WeightAverage(self._trained, recipe.ema_decay)
        self.module: nn.Module = self._average.module if self._average else self._trained
        self._optimizer: torch.optim.Optimizer = build_optimizer(
            recipe.optimizer,
            self._trained,
            learning_rate=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self._step = TrainingStep(recipe, self._trained, self._optimizer, device=self.device)
        if capturer is None and self.device.type == "cuda":
            capturer, clock = CudaCapturer(self.device), CudaClock()
        self._device_steps: DeviceSteps | None = None
        if capturer is not None:
            reason = "eager execution was chosen" if execution is Execution.EAGER else None
            self._device_steps = DeviceSteps(
                self._step,
                self._average,
                bounds=self._images.bounds,
                device=self.device,
                capturer=capturer,
                eager_because=reason or reason_to_stay_eager(recipe.optimizer, recipe.precision),
                clock=clock,
            )

    def __next__(self) -> EpochReport:
        """Train and validate one epoch.

        Raises:
            DivergedError: a loss is not finite, or the training loss blew up
                (`eml_models.training.divergence`).
        """
        if self.epoch >= self.recipe.epochs:
            raise StopIteration
        began = time.perf_counter()
        with self._working(f"noise/{self.epoch}", num_batches=self._images.num_steps):
            trained, rate = self._train_epoch(began)
            train_s = time.perf_counter() - began
            validated = self._validate()
        epoch_s = time.perf_counter() - began
        self.epoch += 1
        self.elapsed_s += epoch_s
        if self._device_steps and self.epoch == self.recipe.epochs:
            self._device_steps.graphs.drop()  # the process may train another network next
        return EpochReport(
            epoch=self.epoch,
            train_loss=trained.loss,
            train_accuracy=trained.accuracy,
            val_loss=validated.loss if validated else None,
            val_accuracy=validated.accuracy if validated else None,
            learning_rate=rate,
            epoch_s=epoch_s,
            elapsed_s=self.elapsed_s,
            samples_per_s=len(self._images.train) / train_s,
            peak_memory_bytes=peak_memory_bytes(self.device),
        )

    @contextmanager
    def tried(self) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
        """Provides two functions to measure: a step on the first batch, and a validation.

        Do not train further afterwards: the measured steps have changed the weights.
        """
        with self._working("tried"):
            block = next(self._images.iter_blocks(self.epoch))
            if self._device_steps is None:
                images, labels = block[0]

                def step() -> None:
                    self._trained.train()
                    self._step(images, labels)

                yield step, self._evaluate
            else:
                yield self._try_on_device(self._device_steps, block), self._evaluate

    def _try_on_device(self, steps: DeviceSteps, block: list[Batch]) -> Callable[[], object]:
        """A step of each size of the block in turn; it always trains on the first images."""
        steps.begin_epoch([self._rate_at(i) for i in range(self._images.num_steps)], first_step=0)
        steps.begin_block(block)
        sizes = cycle(sorted({len(labels) for _, labels in block}))

        def step() -> None:
            self._trained.train()
            steps.rewind()
            steps.advance(next(sizes))

        return step

    @property
    def execution(self) -> str:
        """How its last steps were executed: ``graph`` or ``eager``."""
        return (
            GRAPH if self._device_steps and self._device_steps.graphs.have_played else Execution.EAGER.value
        )

    @property
    def eager_because(self) -> str | None:
        """Why steps on CUDA are not replayed as graphs; None if they are, or may be after the first steps.

        None on a CPU, where all steps are eager.
        """
        return self._device_steps.graphs.eager_because if self._device_steps else None

    @property
    def mean_batch_size(self) -> float:
        """Images of a training step, a mean: the sizes of the batches differ by one image at most."""
        return len(self._images.train) / self._images.num_steps

    @property
    def num_validation(self) -> int:
        """Number of validation images."""
        return self._images.num_validation

    def snapshot(self) -> Snapshot:
        """The state after the finished epochs, as a copy; further training does not change it."""
        return Snapshot(
            recipe=self.recipe,
            epoch=self.epoch,
            elapsed_s=self.elapsed_s,
            module=copy_to_cpu(self.module.state_dict()),
            trained=copy_to_cpu(self._trained.state_dict()) if self._average else {},
            optimizer=copy_to_cpu(self._optimizer_state()),
            scaler=copy_to_cpu(self._step.scaler.state_dict()) if self._step.scaler else {},
            data=self.dataset.facts,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of the same recipe and data, with results equal to the bit.

        Raises:
            InvalidValueError: the snapshot is of another training, or its state does not fit the present
                code. After the second, this object cannot be used either.
        """
        snapshot.check_fits(self.recipe, self.dataset.fingerprint)
        try:
            self.module.load_state_dict(snapshot.module)
            if self._average:
                self._trained.load_state_dict(snapshot.trained)
            self._optimizer.load_state_dict(copy_to_cpu(snapshot.optimizer))
            if self._step.scaler:
                self._step.scaler.load_state_dict(dict(snapshot.scaler))
        except (RuntimeError, ValueError, TypeError, KeyError) as error:  # names and shapes, at length
            raise InvalidValueError(
                f"the state in this snapshot (epoch {snapshot.epoch}) does not fit the network or optimizer"
                " that this process builds from its recipe; start without the snapshot"
            ) from error
        if self._device_steps:
            self._device_steps.adopt_optimizer()
        self.epoch, self.elapsed_s = snapshot.epoch, snapshot.elapsed_s

    def _optimizer_state(self) -> dict[str, object]:
        state = self._optimizer.state_dict()
        # a rate that the device holds is the last step's
        return (
            as_on_host(state, self._rate_at(max(0, self.epoch * self._images.num_steps - 1)))
            if self._device_steps
            else state
        )

    def _seed(self, role: str) -> int:
        return seeds.derive(self.recipe.seed, 0, role)

    @contextmanager
    def _working(self, role: str, *, num_batches: int = 0) -> Iterator[None]:
        """The state of torch and the form of the network in which this training works.

        Args:
            role: the role of its chance.
            num_batches: the steps of training inside, which batch norms are to count.
        """
        on_device = self._device_steps.working() if self._device_steps else nullcontext()
        counted = counted_on_host(self._trained, self.module, num_batches)
        with (
            on_device,
            seeded(self._seed(role), self.device),
            chosen_kernels(self.device, self._kernels),
            self._step.half_weights.used(),
            counted,
        ):
            yield

    def _train_epoch(self, began: float) -> tuple[Evaluation, float]:
        """Train on every image once; returns the means over the epoch and the last learning rate."""
        self._trained.train()
        run = self._run_host_steps if self._device_steps is None else self._run_device_steps
        losses, correct, rate = run(began)
        if self._average:
            self._average.copy_buffers()
        loss = sum(size * value for size, value in zip(self._images.sizes, losses.tolist(), strict=True))
        if self._device_steps:
            self.step_times = self._device_steps.read_times() or self.step_times
        count = len(self._images.train)
        trained = Evaluation(loss=loss / count, accuracy=correct.item() / count)
        check_train_loss(trained.loss, self.recipe, self.epoch + 1, self.dataset.spec.num_classes)
        return trained, rate

    def _run_host_steps(self, began: float) -> tuple[torch.Tensor, torch.Tensor, float]:
        """All steps of an epoch; returns their losses, the number of correct images and the last rate."""
        step = self.epoch * self._images.num_steps
        losses: list[torch.Tensor] = []
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        rate = 0.0
        for block in self._images.iter_blocks(self.epoch):
            logits = []
            for images, labels in block:
                rate = self._set_learning_rate(self._rate_at(step))
                output, loss = self._step(images, labels)
                self._note_first_step(began)
                if self._average:
                    self._average.update(step)
                step += 1
                logits.append(output)
                losses.append(loss)
            # counted per block, because a step of a small network costs no more than some dozens of
            # operations
            correct += (torch.cat(logits).argmax(1) == torch.cat([labels for _, labels in block])).sum()
        return torch.stack(losses), correct, rate

    def _run_device_steps(self, began: float) -> tuple[torch.Tensor, torch.Tensor, float]:
        """The same on the device."""
        steps = self._device_steps
        assert steps is not None
        num_steps = self._images.num_steps
        first = self.epoch * num_steps
        rates = [self._rate_at(first + i) for i in range(num_steps)]
        steps.begin_epoch(rates, first)
        self._run_blocks(steps, began)
        steps.end_epoch()
        return steps.losses, steps.correct, rates[-1]

    def _run_blocks(self, steps: DeviceSteps, began: float) -> None:
        """All blocks of an epoch; the host waits for nothing here, except for the very first step."""
        for block in self._images.iter_blocks(self.epoch):
            steps.begin_block(block)
            for _, labels in block:
                steps.advance(len(labels))
                self._note_first_step(began)

    def _note_first_step(self, began: float) -> None:
        if self.first_step_s is None:
            synchronize(self.device)
            self.first_step_s = time.perf_counter() - began

    def _rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0 over all epochs."""
        num_steps = self.recipe.epochs * self._images.num_steps
        # the middle of the step, so that a warm-up's first and a cosine's last rate are above 0
        return self.recipe.learning_rate_at((step + 0.5) / num_steps)

    def _set_learning_rate(self, rate: float) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _validate(self) -> Evaluation | None:
        validated = self._evaluate()
        if validated is not None:
            check_finite("val_loss", validated.loss, self.recipe, self.epoch + 1)
        return validated

    def _evaluate(self) -> Evaluation | None:
        if self._images.validation is None:
            self.module.eval()
            return None
        images, labels = self._images.validation
        return evaluate(self.module, self._images.prepare, images, labels, precision=self.recipe.precision)
