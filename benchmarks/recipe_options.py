"""What each option of a recipe and of MobileNet is worth for small networks: on against off, seed by seed.

    python -m benchmarks.recipe_options [--seeds 10] [--data-dir DIR] [--output FILE]

Real trainings, one at a time on one thread, without Ray: MobileNets within a MAC limit on scikit-learn's
digits and, if `--data-dir` holds it, on 4,000 images of Fashion-MNIST. Each option is compared with the same
training without it. An option that changes a network's MACs is compared within the same limit: the width is
the largest that fits, with and without. The figure is the mean difference in validation accuracy with its
95 % interval (paired t), after a third of the epochs, where early stopping decides, and at the end.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.comparing import describe_conditions, write_result
from eml_models.networks.registry import build_plan
from eml_models.training.recipe import Recipe
from tune_jobs.analysis.intervals import estimate

EPOCHS_OF_EARLY = 3
"""The early figure is from a third of the epochs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is trained on, within which limit."""

    max_macs: int
    image_px: int
    recipe: Recipe

    @property
    def name(self) -> str:
        return f"{self.recipe.dataset}, {self.max_macs / 1e6:g} M"


DIGITS = Recipe(
    model="mobilenet",
    # as the study digits-mobilenet, but free to use any number of channels, so that MACs come out equal
    model_options={
        "divisor": 1,
        "head_channels": 128,
        "depths": [1, 2, 2, 2, 2, 1, 1],
        "expansions": [1, 3, 3, 3, 3, 3, 3],
    },
    dataset="digits",
    learning_rate=5e-2,
    weight_decay=1e-4,
    batch_size=64,
    epochs=18,
    validation_fraction=0.4,  # 575 images: with fewer, chance is larger than what is looked for
)
FASHION = DIGITS.with_changes(
    dataset="fashion_mnist",
    # 28 px cost 12 times the MACs of 8 px; with five halvings the same channels fit the same limit
    model_options={**DIGITS.model_options, "strides": "imagenet"},
    epochs=3,
    max_train_samples=4000,
    validation_fraction=0.05,  # 3,000 images
)
# Limits at which every variant finds a width that uses at least 98 % of it.
SETTINGS = (
    Setting(max_macs=90_000, image_px=8, recipe=DIGITS),
    Setting(max_macs=410_000, image_px=8, recipe=DIGITS),
    Setting(max_macs=390_000, image_px=28, recipe=FASHION),
)

PLAIN = "plain"
Changes = Mapping[str, Any]
Key = tuple[str, str, int]
VARIANTS: Mapping[str, tuple[Changes, Changes]] = {
    PLAIN: ({}, {}),
    "label_smoothing 0.1": ({"label_smoothing": 0.1}, {}),
    "ema_decay 0.99": ({"ema_decay": 0.99}, {}),
    "cutout 0.25": ({"cutout": 0.25}, {}),
    "augmentation crop": ({"augmentation": "crop"}, {}),
    "se_ratio 0.25": ({}, {"se_ratio": 0.25}),
    "kernels 3, 5, 3, 5, 3, 5, 3": ({}, {"kernels": [3, 5, 3, 5, 3, 5, 3]}),
    "stem_channels 16": ({}, {"stem_channels": 16}),
    "zero_gamma off": ({}, {"zero_gamma": False}),
    "relu for silu": ({}, {"activation": "relu"}),
}
"""What each changes: fields of the recipe, options of the network."""


def main() -> None:
    """Train all, one after the other, and print a table for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--data-dir", help="holds FashionMNIST/raw; without it only the digits are trained on"
    )
    parser.add_argument("--output", help="JSON; trainings that it holds already are not repeated")
    words = parser.parse_args()
    if words.seeds < 2:
        parser.error("an interval needs at least 2 seeds")
    done = {(run["setting"], run["variant"], run["seed"]): run for run in _read_runs(words.output)}
    print(describe_conditions())
    for setting in SETTINGS:
        if setting.recipe.dataset != "digits" and not words.data_dir:
            continue
        for seed in range(words.seeds):
            for variant in VARIANTS:
                key = (setting.name, variant, seed)
                done[key] = done.get(key) or train(setting, variant, seed, words.data_dir)
            if seed > 0:
                table = compare(setting, seed + 1, done)
                _write(words.output, setting, table, list(done.values()))
        print_table(setting, table)


def train(setting: Setting, variant: str, seed: int, data_dir: str | None) -> dict[str, Any]:
    """One training; its accuracies, costs and seconds."""
    import torch

    from eml_models import fit

    torch.set_num_threads(1)
    changes, _ = VARIANTS[variant]
    options, macs, parameters = network(setting.name, variant)
    recipe = setting.recipe.with_changes(model_options=options, seed=seed, **changes)
    began = time.process_time()
    reports = list(fit(recipe, device="cpu", data_dir=data_dir))
    return {
        "setting": setting.name,
        "variant": variant,
        "seed": seed,
        "macs": macs,
        "parameters": parameters,
        "cpu_s": round(time.process_time() - began, 2),
        "early": round(reports[len(reports) // EPOCHS_OF_EARLY - 1].val_accuracy, 6),
        "last": round(reports[-1].val_accuracy, 6),
    }


@functools.cache
def network(setting_name: str, variant: str) -> tuple[dict[str, Any], int, int]:
    """The options of the widest network within the limit, its MACs and its parameters."""
    (setting,) = (setting for setting in SETTINGS if setting.name == setting_name)
    options = {**setting.recipe.model_options, **VARIANTS[variant][1]}
    shape = (1, setting.image_px, setting.image_px)
    widths = [0.1 + step / 1000 for step in range(1000)]
    plans = (
        (width, build_plan("mobilenet", input_shape=shape, num_classes=10, **options, width_mult=width))
        for width in widths
    )
    for (width, plan), (_, wider) in pairwise(plans):
        if plan.macs <= setting.max_macs < wider.macs:
            return {**options, "width_mult": width}, plan.macs, plan.parameters
    raise AssertionError(f"no width of {variant} is just within {setting.max_macs:,} MACs")


def compare(setting: Setting, seeds: int, done: Mapping[Key, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Accuracies of each variant, and differences from the plain training with the same seed."""
    found = {}
    for variant in VARIANTS:
        own = [done[setting.name, variant, seed] for seed in range(seeds)]
        plain = [done[setting.name, PLAIN, seed] for seed in range(seeds)]
        found[variant] = {
            "n": seeds,
            "macs": own[0]["macs"],
            "parameters": own[0]["parameters"],
            "cpu_s": statistics.median(run["cpu_s"] for run in own),
            **{when: statistics.fmean(run[when] for run in own) for when in ("early", "last")},
        }
        if variant != PLAIN:
            for when in ("early", "last"):
                gains = [run[when] - other[when] for run, other in zip(own, plain, strict=True)]
                gain = estimate(gains)
                found[variant][f"gain_{when}"] = (gain.mean, gain.low, gain.high)
    return found


def print_table(setting: Setting, table: dict[str, dict[str, Any]]) -> None:
    early = setting.recipe.epochs // EPOCHS_OF_EARLY
    plain = table[PLAIN]
    print(
        f"\n{setting.name} MACs, {plain['n']} seeds, {setting.recipe.epochs} epochs:"
        f" {PLAIN} {plain['last']:.4f}, after epoch {early} {plain['early']:.4f}"
    )
    for variant, figures in table.items():
        if variant != PLAIN:
            last, first = (_as_text(*figures[f"gain_{when}"]) for when in ("last", "early"))
            costs = (
                f"{figures['macs']:,} MACs, {figures['parameters']:,} parameters, {figures['cpu_s']:.1f} s"
            )
            print(f"  {variant:28} {last}  after epoch {early} {first}  {costs}")


def _as_text(mean: float, low: float, high: float) -> str:
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


def _read_runs(path: str | None) -> list[dict[str, Any]]:
    if path is None or not Path(path).exists():
        return []
    runs: list[dict[str, Any]] = json.loads(Path(path).read_text())["runs"]
    return runs


def _write(path: str | None, setting: Setting, table: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """After each seed, so that what was trained is not lost."""
    if path is not None:
        earlier = json.loads(Path(path).read_text())["tables"] if Path(path).exists() else {}
        tables = {**earlier, setting.name: table}
        write_result(path, {"conditions": describe_conditions(), "tables": tables, "runs": runs})


if __name__ == "__main__":
    main()
