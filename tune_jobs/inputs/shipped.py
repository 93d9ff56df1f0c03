"""The shipped studies by name: functions that return a `Study`, to run, or to copy and change.

Called by `user_code`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from eml_models.training.recipe import Recipe
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha, Limits, SamplerName
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Value, When
from tune_jobs.study.space import Space

OPTIMIZERS = ("sgd", "sgd_momentum", "adam", "adamw", "rmsprop")
SCHEDULES = ("constant", "step", "exponential", "cosine", "one_cycle")
RATES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


# Descriptions leave out all that an option can change: `summary` has data set, limits, trials and epochs.
RECIPES = "Training recipes of {}: optimizer, learning rate, schedule and what goes with them."
TABLE = "A table of optimizers, learning rates and schedules of {}."
STAGES_WITHIN = "Width, expansion and depth of MobileNet's stages within a limit on MACs."


GPU_BATCH = 250
"""Batch size of the studies that are meant for GPUs, by estimate until it is measured.

It divides the 40,000 images that CIFAR-10 leaves for training, and all 50,000: every step has one shape, so
that one CUDA graph and one choice of kernels serve all. Evidence from an H200: at a batch of 128 in fp32 with
the launches of a step replayed as a graph, it trains 24,000 images/s of a MobileNet of 29 M MACs and 29,500
of a ResNet-18, and never waits for its host; a ResNet-18 at 500 in bf16 trains 38,000, launched one by one.
16 bits halve the bytes, so that a batch of 128 no longer fills such a card.
"""


def recipe_space(batch_sizes: tuple[int, ...] = (32, 64, 128)) -> Space:
    """The space of recipes: optimizer, learning rate, schedule, weight decay, momentum, batch size."""
    return Space(
        Choice("optimizer", OPTIMIZERS),
        Float("learning_rate", 1e-4, 1.0, log=True),
        Choice("schedule", SCHEDULES),
        Float("weight_decay", 1e-6, 1e-2, log=True),
        Float("momentum", 0.5, 0.99, when=When("optimizer", ("sgd_momentum",))),
        Choice("batch_size", batch_sizes),
    )


def digits_recipes() -> Study:
    """The main job: training recipes of a small CNN on scikit-learn's digits, in about a minute."""
    return Study(
        name="digits-recipes",
        description=RECIPES.format("a small CNN"),
        space=recipe_space(),
        recipe=Recipe(model="small_cnn", dataset="digits", learning_rate=1e-2, epochs=18),
        trials=32,
        asha=Asha(min_epochs=2, reduction_factor=3),
    )


def digits_grid() -> Study:
    """The lab report's grid: every combination of optimizer, rate and schedule, trained to its end."""
    return Study(
        name="digits-grid",
        description=TABLE.format("a small CNN"),
        space=Space(
            Choice("optimizer", OPTIMIZERS), Choice("learning_rate", RATES), Choice("schedule", SCHEDULES)
        ),
        recipe=Recipe(model="small_cnn", dataset="digits", learning_rate=1e-2, epochs=6),
        trials=len(OPTIMIZERS) * len(RATES) * len(SCHEDULES),
        sampler=SamplerName.GRID,
        asha=None,
    )


def mnist_recipes() -> Study:
    """Training recipes of a small CNN on MNIST."""
    return digits_recipes().with_changes(
        name="mnist-recipes",
        recipe=Recipe(model="small_cnn", dataset="mnist", learning_rate=1e-2, epochs=9),
        trials=64,
        asha=Asha(min_epochs=1, reduction_factor=3),
    )


def fashion_mnist_recipes() -> Study:
    """Training recipes of a small CNN on Fashion-MNIST."""
    mnist = mnist_recipes()
    return mnist.with_changes(
        name="fashion-mnist-recipes",
        recipe=mnist.shipped_recipe.with_changes(dataset="fashion_mnist"),
    )


def cifar10_recipes() -> Study:
    """Training recipes of a ResNet-18 on CIFAR-10; meant for GPUs."""
    return Study(
        name="cifar10-recipes",
        description=RECIPES.format("a ResNet-18"),
        space=recipe_space((GPU_BATCH // 2, GPU_BATCH, 2 * GPU_BATCH)),
        recipe=Recipe(
            model="resnet18",
            dataset="cifar10",
            learning_rate=1e-1,
            epochs=27,
            batch_size=GPU_BATCH,
            precision="bf16",
            augmentation="crop_flip",
        ),
        trials=64,
        asha=Asha(min_epochs=1, reduction_factor=3),
    )


STAGES = range(1, 8)
GPU_RATES = (2e-3, 6e-1)
"""Learning rates of `architecture_space` at `GPU_BATCH`: twice those at half the batch (arXiv 1706.02677)."""


def architecture_space(
    *, max_width: float = 2.0, max_depth: int = 4, rates: tuple[float, float] = (1e-3, 3e-1)
) -> Space:
    """The space of MobileNets: relative width, expansion and depth of each stage, rate and weight decay.

    The common width follows from `macs_share`, the share of the limit that the network uses. So proposals
    lie near the limit, and few break it. `benchmarks.near_limit` compares this with refusing proposals above
    the limit.
    """
    return Space(
        Float("macs_share", 0.7, 1.0),
        *(Float(f"width_{stage}", 0.5, max_width, log=True) for stage in STAGES),
        Constant("expansion_1", 1.0),
        *(Float(f"expansion_{stage}", 1.0, 8.0) for stage in STAGES[1:]),
        *(Integer(f"depth_{stage}", 1, max_depth) for stage in STAGES),
        Float("learning_rate", *rates, log=True),
        Float("weight_decay", 1e-6, 1e-2, log=True),
    )


def mobilenet() -> Study:
    """MobileNet's widths, expansions and depths per stage on CIFAR-10 within 30 M MACs; meant for GPUs."""
    return Study(
        name="mobilenet",
        description=STAGES_WITHIN,
        space=architecture_space(rates=GPU_RATES),
        recipe=Recipe(
            model="mobilenet",
            dataset="cifar10",
            learning_rate=1e-1,
            schedule="cosine",
            epochs=27,
            batch_size=GPU_BATCH,
            precision="bf16",
            augmentation="crop_flip",
        ),
        trials=128,
        limits=Limits(max_macs=30_000_000),
        asha=Asha(min_epochs=1, reduction_factor=3),
    )


def digits_mobilenet() -> Study:
    """The search of `mobilenet` on the embedded digits within 200,000 MACs, a few minutes on two cores."""
    return mobilenet().with_changes(
        name="digits-mobilenet",
        space=architecture_space(max_depth=2),
        recipe=Recipe(
            model="mobilenet",
            dataset="digits",
            learning_rate=5e-2,
            schedule="cosine",
            epochs=9,
            batch_size=64,
            model_options={"divisor": 4, "head_channels": 128},
        ),
        trials=24,
        limits=Limits(max_macs=200_000),
    )


FRONT = (Objective(metric="val_accuracy"), Objective(metric="macs"))
"""The objectives of a front: accurate and cheap."""


def digits_front() -> Study:
    """The front of accuracy against MACs of MobileNets on the embedded digits, in a few minutes on two cores.

    Channels are not rounded to multiples and the head is narrow, so that small networks are within reach.
    """
    shipped = digits_mobilenet()
    return shipped.with_changes(
        name="digits-front",
        description="MobileNet's stages from the smallest networks up to a limit on MACs, for a front.",
        recipe=shipped.shipped_recipe.with_changes(model_options={"divisor": 1, "head_channels": 32}),
        objectives=FRONT,
        trials=48,
        asha=Asha(min_epochs=3, reduction_factor=3),
    )


def fashion_mnist_front() -> Study:
    """The front on Fashion-MNIST within 2 M MACs; meant for GPUs, or with ``--scale smoke`` for a CPU."""
    study = digits_front().with_changes(
        name="fashion-mnist-front",
        limits=Limits(max_macs=2_000_000),
        trials=64,
    )
    recipe = study.shipped_recipe.with_changes(
        dataset="fashion_mnist", augmentation="crop", model_options={"divisor": 1, "head_channels": 64}
    )
    return study.with_changes(recipe=recipe)


FAMILIES = ("mobilenet", "resnet18")


def family_space(stages: Space, **mobilenet_options: Value) -> Space:
    """The space of both families, each as wide as its share of the limit allows.

    Of two networks with equal MACs, a dense ResNet is faster than a MobileNet (on a CPU 1.8 to 3.6 times), so
    a search under a limit should see both. The params of MobileNet's stages apply only to MobileNet.
    """
    only_mobilenet = When("model", ("mobilenet",))
    shared = ("macs_share", "learning_rate", "weight_decay")
    return Space(
        Choice("model", FAMILIES),
        *(p if p.name in shared else replace(p, when=only_mobilenet) for p in stages.parameters),
        *(Constant(name, value, when=only_mobilenet) for name, value in mobilenet_options.items()),
    )


def families() -> Study:
    """MobileNets and narrowed ResNet-18s on CIFAR-10 within 30 M MACs, in one search; meant for GPUs."""
    return mobilenet().with_changes(
        name="families",
        description="Networks of several families within a limit on MACs.",
        space=family_space(architecture_space(rates=GPU_RATES)),
    )


def digits_families() -> Study:
    """The search of `families` on the digits within a million MACs, below which ResNet-18 has few widths."""
    study = digits_mobilenet()
    return study.with_changes(
        name="digits-families",
        description="Networks of several families within a limit on MACs.",
        space=family_space(study.space, divisor=4, head_channels=128),
        limits=Limits(max_macs=1_000_000),
        recipe=study.shipped_recipe.with_changes(model_options={}),
    )


NUM_REPEATS = 3
"""Seeds of each cell of a lab table: fewer give intervals too wide to be of use."""


def lab_mnist() -> Study:
    """The lab report's table on MNIST: optimizer, rate and schedule, with three seeds for each cell."""
    return Study(
        name="lab-mnist",
        description=TABLE.format("a small CNN"),
        space=lab_space(RATES),
        recipe=Recipe(model="small_cnn", dataset="mnist", learning_rate=1e-2, epochs=10),
        trials=NUM_REPEATS * len(OPTIMIZERS) * len(RATES) * len(SCHEDULES),
        sampler=SamplerName.GRID,
        asha=None,
    )


def lab_cifar10() -> Study:
    """The lab report's table on CIFAR-10: a ResNet-18 at rates from 1e-4 (the report's advice) to 1e-1.

    The rate 1.0 is left out. With a small CNN (docs/lab-report.md) it is worse than the best rate on both
    data sets (p 0.039 and 0.005), and on CIFAR-10 a rate costs 300 PFLOP.

    An estimate of its cost, not a measurement: a trial is 555.4 M MACs x 2 operations x 3 (forward, and
    twice that backward) x 40,000 images x 30 epochs = 4.0 PFLOP, and 300 trials are 1,200. A published
    ResNet-18 to 96 % does 32.3 PFLOP in 7 minutes on one A100, so 77 TFLOP/s: 4.3 GPU-hours at that rate
    (reduced precision, a tuned loop), 13 at a third of it.
    """
    rates = RATES[:-1]
    return lab_mnist().with_changes(
        name="lab-cifar10",
        description=TABLE.format("a ResNet-18"),
        space=lab_space(rates),
        recipe=Recipe(
            model="resnet18",
            dataset="cifar10",
            learning_rate=1e-2,
            epochs=30,
            weight_decay=5e-4,
            augmentation="crop_flip",
        ),
        trials=NUM_REPEATS * len(OPTIMIZERS) * len(rates) * len(SCHEDULES),
    )


def lab_space(rates: tuple[float, ...]) -> Space:
    """The space of a lab table: optimizer, rate, schedule, and the number of each cell's seed."""
    return Space(
        Integer("repeat", 1, NUM_REPEATS),
        Choice("optimizer", OPTIMIZERS),
        Choice("learning_rate", rates),
        Choice("schedule", SCHEDULES),
    )


def lab_macs_130m() -> Study:
    """The lab report's first limit: MobileNets on CIFAR-10 within 130 M MACs; run `finalists` after it."""
    return mobilenet().with_changes(
        name="lab-macs-130m",
        limits=Limits(max_macs=130_000_000),
    )


def lab_macs_30m() -> Study:
    """The lab report's second limit: MobileNets on CIFAR-10 within 30 M MACs."""
    return mobilenet().with_changes(name="lab-macs-30m")


SHIPPED: dict[str, Callable[[], Study]] = {
    "digits-recipes": digits_recipes,
    "digits-grid": digits_grid,
    "mnist-recipes": mnist_recipes,
    "fashion-mnist-recipes": fashion_mnist_recipes,
    "cifar10-recipes": cifar10_recipes,
    "digits-mobilenet": digits_mobilenet,
    "mobilenet": mobilenet,
    "digits-front": digits_front,
    "fashion-mnist-front": fashion_mnist_front,
    "digits-families": digits_families,
    "families": families,
    "lab-mnist": lab_mnist,
    "lab-cifar10": lab_cifar10,
    "lab-macs-130m": lab_macs_130m,
    "lab-macs-30m": lab_macs_30m,
}
