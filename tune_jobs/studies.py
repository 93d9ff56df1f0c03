"""The shipped studies: each a function that returns a `Study`, to be run by name or copied and changed."""

from __future__ import annotations

from collections.abc import Callable

from eml_models.recipe import Recipe
from tune_jobs.space import Choice, Float, Space, When
from tune_jobs.study import Asha, SamplerName, Study

OPTIMIZERS = ("sgd", "sgd_momentum", "adam", "adamw", "rmsprop")
SCHEDULES = ("constant", "step", "exponential", "cosine", "one_cycle")
RATES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def recipe_space() -> Space:
    """Optimizer x learning rate x schedule, with weight decay, momentum and batch size."""
    return Space(
        Choice("optimizer", OPTIMIZERS),
        Float("learning_rate", 1e-4, 1.0, log=True),
        Choice("schedule", SCHEDULES),
        Float("weight_decay", 1e-6, 1e-2, log=True),
        Float("momentum", 0.5, 0.99, when=When("optimizer", ("sgd_momentum",))),
        Choice("batch_size", (32, 64, 128)),
    )


def digits_recipes() -> Study:
    """The main job: training recipes of a small CNN on scikit-learn's digits, in about a minute."""
    return Study(
        name="digits-recipes",
        description="Optimizer, learning rate and schedule of a small CNN on the embedded digits.",
        space=recipe_space(),
        recipe=Recipe(model="small_cnn", dataset="digits", learning_rate=1e-2, epochs=18),
        trials=32,
        asha=Asha(min_epochs=2, reduction_factor=3),
    )


def digits_grid() -> Study:
    """The lab report's loop over optimizers, rates and schedules, every combination to its end."""
    return Study(
        name="digits-grid",
        description="Every combination of optimizer, learning rate and schedule on the embedded digits.",
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
        description="Optimizer, learning rate and schedule of a small CNN on MNIST.",
        recipe=Recipe(model="small_cnn", dataset="mnist", learning_rate=1e-2, epochs=9),
        trials=64,
        asha=Asha(min_epochs=1, reduction_factor=3),
    )


def fashion_mnist_recipes() -> Study:
    """Training recipes of a small CNN on Fashion-MNIST."""
    mnist = mnist_recipes()
    return mnist.with_changes(
        name="fashion-mnist-recipes",
        description="Optimizer, learning rate and schedule of a small CNN on Fashion-MNIST.",
        recipe=mnist.recipe.with_changes(dataset="fashion_mnist"),
    )


def cifar10_recipes() -> Study:
    """Training recipes of a ResNet-18 on CIFAR-10; meant for GPUs."""
    return Study(
        name="cifar10-recipes",
        description="Optimizer, learning rate and schedule of a ResNet-18 on CIFAR-10.",
        space=recipe_space(),
        recipe=Recipe(
            model="resnet18", dataset="cifar10", learning_rate=1e-1, epochs=27, augmentation="crop_flip"
        ),
        trials=64,
        asha=Asha(min_epochs=1, reduction_factor=3),
    )


SHIPPED: dict[str, Callable[[], Study]] = {
    "digits-recipes": digits_recipes,
    "digits-grid": digits_grid,
    "mnist-recipes": mnist_recipes,
    "fashion-mnist-recipes": fashion_mnist_recipes,
    "cifar10-recipes": cifar10_recipes,
}
