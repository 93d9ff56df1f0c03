"""The ways to execute the steps of a training on CUDA. Imports no torch.

`eml_models.training.step_graph` plays a step as a graph; run settings and the command line name the choice.
"""

from __future__ import annotations

from enum import StrEnum

from eml_models.errors import UnknownNameError
from eml_models.training.optimizers import get_optimizer_spec


class Execution(StrEnum):
    """The way to execute the steps of a training on CUDA. On a CPU both are the same.

    Attributes:
        AUTO: the whole step is captured as a CUDA graph after a few steps, and then replayed: one call of the
            driver in place of hundreds. The kernels, their order and their results are those of eager steps.
            Where a step cannot be a graph, the training stays eager and says why.
        EAGER: each operator is launched by itself.
    """

    AUTO = "auto"
    EAGER = "eager"


GRAPH = "graph"
"""The name of an execution in which steps are replayed as graphs, in reports; see `Fit.execution`."""


def parse_execution(name: str) -> Execution:
    """The choice of that name.

    Raises:
        UnknownNameError: there is none; the message lists the known names.
    """
    try:
        return Execution(name)
    except ValueError as error:
        raise UnknownNameError("execution", name, Execution) from error


def reason_to_stay_eager(optimizer: str, precision: str) -> str | None:
    """The reason why a recipe with these two has no graph, known before its first step; None if it has.

    fp16's loss scaling skips a step whose gradients overflow. A fused optimizer decides this on the device;
    for another, torch asks the device at each step and waits for its answer.
    """
    if precision == "fp16" and not get_optimizer_spec(optimizer).fused:
        return f"{optimizer} in fp16 waits for the device at each step; bf16 does not"
    return None
