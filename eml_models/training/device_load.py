"""The load of a training on its device, and its pace: values that processes send each other.

Measured by `eml_models.training.step_load`. This module imports no torch: what only reads the values starts
at once.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLoad:
    """The load of a training on its device.

    Attributes:
        peak_bytes: on CUDA, the most that torch held in later steps and a validation, including the data set
            and free blocks; on a CPU, the most that the process ever held.
        beside_bytes: on CUDA, other memory in use on the device: the context and loaded kernels of this
            process; 0 on a CPU.
        others_bytes: bytes that other processes held before, which trainings cannot have; 0 on a CPU.
        total_bytes: the memory of the device.
        busy: share of a step's duration in which the device computes, in (0, 1]; in the rest it waits for
            this process. 1 on a CPU.
    """

    peak_bytes: int
    beside_bytes: int
    total_bytes: int
    busy: float
    others_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The images that a training took in a stretch of steps in a row.

    Attributes:
        images: the number of images.
        seconds: from the first step until the device had done all of them.
    """

    images: float
    seconds: float
