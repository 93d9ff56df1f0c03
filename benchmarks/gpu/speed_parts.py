"""The parts of `speed`, each for a process of its own: one way to train one network, or one small study.

``python -m benchmarks.gpu.speed_parts NAME DEVICE BEGAN``: a JSON line on stdout as soon as a figure is
known. BEGAN is the time (of `time.time`) at which the process was started.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.synthetic import BATCH_SIZE, NUM_EPOCHS, NUM_TRIALS, TINY, recipe, study
from benchmarks.gpu.train import profile, time_step

MODELS = {"mobilenet": "mobilenet", "resnet": "resnet18", "small": "small_cnn"}
WARM_UP = 2 if TINY else 10
"""Steps before the busy share is measured: a graph is captured in them."""

SIDE_BY_SIDE_S = 80.0
"""Seconds of the part ``side_by_side``: less than a part may take."""

SHARE = 0.25
"""Part of the GPU for each trial of a study, of ours and of Ray's."""


def say(**known: Any) -> None:
    print(json.dumps(known), flush=True)


class Part:
    """One way to train one network.

    Args:
        began: when the process was started.
    """

    def __init__(self, model: str, device: str, began: float) -> None:
        self.recipe, self.device, self.began = recipe(MODELS[model]), torch.device(device), began

    def eager(self) -> None:
        self._fit("eager")

    def graph(self) -> None:
        self._fit("auto")

    def compiled(self) -> None:
        """The whole network compiled, and its steps then replayed as graphs where the loop can do so."""
        self._fit("auto", lambda network: network.compile(dynamic=False, backend=_backend()))

    def norms(self) -> None:
        """Each batch norm compiled with the activation after it: one pass over its maps."""
        self._fit("auto", compile_norms)

    def plain(self) -> None:
        """A loop as tutorials have it: images from a DataLoader, autocast, torch's own optimizer."""
        steps, num_steps = plain_steps(self.recipe, self.device)
        next(steps)
        say(start_up_s=self._since())
        rates = [self._time_epoch(lambda: [next(steps) for _ in range(num_steps)], num_steps)]
        rates += [self._time_epoch(lambda: [next(steps) for _ in range(num_steps)], num_steps)]
        say(execution="plain", steps_per_s=rates[-1], images_per_s=rates[-1] * BATCH_SIZE)
        self._say_busy(lambda: next(steps))

    def side_by_side(self) -> None:
        """One, two and four processes at the same time, and how many of them ``auto`` would choose."""
        from tune_jobs.inputs.user_code import UserCode
        from tune_jobs.on_ray.gpus.share import choose_part
        from tune_jobs.on_ray.gpus.side_by_side import Limits, measure_card
        from tune_jobs.on_ray.gpus.step_program import StepRequest

        code = UserCode(module="benchmarks.gpu.synthetic")  # registers the images
        request = StepRequest(recipe=self.recipe.to_json(), code=code, where={"device": str(self.device)})
        limits = Limits(whole_s=SIDE_BY_SIDE_S, window_s=0.2 if TINY else 1.0, answer_s=4.0)
        card = measure_card(request, limits)
        part = choose_part(card.load, card.images_per_s)
        paces = ", ".join(f"{count}: {pace:.0f}" for count, pace in card.images_per_s.items())
        say(**card.fields()["load"], images_per_s_together=card.images_per_s, chosen=round(1 / part.gpus))
        say(note=f"images/s of {paces}" if paces else card.not_together_because)

    def _fit(self, execution: str, change: Callable[[nn.Module], object] = lambda network: None) -> None:
        from eml_models import fit

        options = {"execution": execution} if "execution" in inspect.signature(fit).parameters else {}
        if execution == "auto" and not options:
            say(note="this training has no graphs: its steps are eager")
        training = fit(self.recipe, device=self.device, **options)
        change(training._trained)
        before = self._since()
        report = next(training)
        assert training.first_step_s is not None
        say(start_up_s=before + training.first_step_s, first_epoch_s=report.epoch_s)
        for _ in range(NUM_EPOCHS):
            report = next(training)
            images_per_s = report.samples_per_s
            say(steps_per_s=images_per_s / BATCH_SIZE, images_per_s=images_per_s, epoch_s=report.epoch_s)
        say(execution=getattr(training, "execution", "eager"), eager_because=_reason(training))
        if training.device.type == "cuda":
            say(peak_gb=torch.cuda.max_memory_allocated() / 1e9)
        with training.tried() as (step, _):
            self._say_busy(step)

    def _say_busy(self, step: Callable[[], object]) -> None:
        for _ in range(WARM_UP):
            step()
        timed = time_step(step, self.device)
        say(**timed)
        if self.device.type == "cuda":
            found = profile(step, self.device)
            say(**found, busy=found["device_ms"] / timed["step_ms"])

    def _since(self) -> float:
        return time.time() - self.began

    def _time_epoch(self, epoch: Callable[[], object], num_steps: int) -> float:
        began = time.perf_counter()
        epoch()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return num_steps / (time.perf_counter() - began)


def _backend() -> str:
    return "eager" if TINY else "inductor"


def _reason(training: Any) -> str | None:
    reason: str | None = getattr(training, "eager_because", None)
    return reason


def compile_norms(network: nn.Module) -> None:
    """Replace each batch norm and the activation after it by both as one compiled module."""
    from torch._dynamo import config

    config.recompile_limit = config.accumulated_recompile_limit = 10_000  # all pairs share their code
    for parent in list(network.modules()):
        if not isinstance(parent, nn.Sequential):
            continue
        children = list(parent.named_children())
        for (name, norm), (after, activation) in pairwise(children):
            if isinstance(norm, nn.BatchNorm2d) and isinstance(activation, nn.ReLU | nn.ReLU6 | nn.SiLU):
                pair = nn.Sequential(norm, activation)
                pair.compile(dynamic=False, backend=_backend())
                setattr(parent, name, pair)
                setattr(parent, after, nn.Identity())


def plain_steps(recipe: Any, device: torch.device) -> tuple[Iterator[torch.Tensor], int]:
    """Endless steps over shuffled epochs of a DataLoader, and their number per epoch."""
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms import v2

    from eml_models import build_model, load_dataset

    images = load_dataset(recipe.dataset)
    pixels, labels = images.train_images_NCHW[: int(len(images.train_labels) * 0.8)], images.train_labels
    side = pixels.shape[2]
    moves: list[nn.Module] = [v2.RandomCrop(side, padding=side // 8, padding_mode="reflect")]
    moves += [v2.RandomHorizontalFlip()] if recipe.augmentation == "crop_flip" else []
    mean, std = images.mean.flatten().tolist(), images.std.flatten().tolist()
    scale = v2.Compose([*moves, v2.ToDtype(torch.float32), v2.Normalize(mean, std)])

    class Images(Dataset[tuple[torch.Tensor, torch.Tensor]]):
        def __len__(self) -> int:
            return len(pixels)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            return scale(pixels[index]), labels[index]

    workers = 0 if TINY else min(8, (os.cpu_count() or 2) - 1)
    loader = DataLoader(
        Images(),
        batch_size=recipe.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
    )
    shape, options = images.spec.input_shape, recipe.model_options
    network = build_model(recipe.model, input_shape=shape, num_classes=10, **options)
    network = network.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=recipe.learning_rate, momentum=0.9, nesterov=True, weight_decay=5e-4
    )

    def iterate() -> Iterator[torch.Tensor]:
        while True:
            for batch, targets in loader:
                batch = batch.to(device, non_blocking=True, memory_format=torch.channels_last)
                targets = targets.to(device, non_blocking=True)
                with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
                    loss = nn.functional.cross_entropy(network(batch), targets)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                yield loss.detach()

    return iterate(), len(loader)


def run_study_of_ours(device: str, execution: str) -> None:
    """The study through Ray, on a share of the GPU for each trial; on a CPU in this process."""
    from tune_jobs import RunSettings, run_study

    known = inspect.signature(RunSettings).parameters
    options: dict[str, Any] = {"execution": execution} if "execution" in known else {}
    if execution == "auto" and not options:
        say(note="this version has no graphs: its steps are eager")
    options |= {"inline": True} if device == "cpu" else {"gpus_per_trial": SHARE}
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials()
        run_study(
            study(),
            store=folder,
            **options,
            on_progress=lambda progress: trials.note(progress.completed),
            on_note=lambda note: say(note=note),
        )
        trials.note(NUM_TRIALS)


def run_ray_example(device: str) -> None:
    """`ray.tune.examples.mnist_pytorch` with this network, these images and no early stopping."""
    import ray
    from ray import tune

    resources = {"cpu": 2, "gpu": SHARE} if device == "cuda" else {"cpu": 1}

    def train(config: dict[str, float]) -> None:
        from benchmarks.gpu.speed_parts import plain_steps
        from benchmarks.gpu.synthetic import recipe

        chosen = recipe("mobilenet", learning_rate=config["lr"])
        steps, num_steps = plain_steps(chosen, torch.device(device))
        for _ in range(NUM_EPOCHS):
            losses = [next(steps) for _ in range(num_steps)]
            tune.report({"loss": float(losses[-1])})

    class Completed(tune.Callback):  # type: ignore[misc]  # Ray ships no types
        """Counts trials as they end."""

        count = 0

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            self.count += 1
            ended.note(self.count)

    with tempfile.TemporaryDirectory() as folder:
        ended = Trials()
        ray.init(num_cpus=2 if TINY else None, include_dashboard=False, log_to_driver=False)
        tuner = tune.Tuner(
            tune.with_resources(train, resources),
            param_space={"lr": tune.loguniform(0.01, 0.1)},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=NUM_TRIALS),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Completed()]),
        )
        results = tuner.fit()
        say(num_failed=len(results.errors))
        ray.shutdown()


class Trials:
    """Says how many trials have ended since it was made."""

    def __init__(self) -> None:
        self._began, self._said = time.perf_counter(), 0

    def note(self, count: int) -> None:
        """Say the rate, if more have ended."""
        if count > self._said:
            self._said, seconds = count, time.perf_counter() - self._began
            say(study_s=seconds, num_trials=count, trials_per_gpu_hour=3600 * count / seconds)


def main() -> None:
    name, device, began = sys.argv[1:]
    subject, _, way = name.partition(" ")
    if subject != "study":
        getattr(Part(subject, device, float(began)), way)()
    elif way == "ray":
        run_ray_example(device)
    else:
        run_study_of_ours(device, "eager" if way == "eager" else "auto")


if __name__ == "__main__":
    main()
