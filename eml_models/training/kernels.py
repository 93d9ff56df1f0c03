"""The ways to choose kernels for a training on CUDA. Imports no torch.

`eml_models.training.device_state` applies a choice; run settings and the command line name it.
"""

from __future__ import annotations

import os
from enum import StrEnum

from eml_models.errors import UnknownNameError


class Kernels(StrEnum):
    """The way to choose kernels for a training on CUDA. On a CPU all three are the same.

    Attributes:
        DEFAULT: cuDNN's own rules select a kernel for each shape, without measuring.
        SEARCHED: cuDNN times its kernels for each shape and keeps the fastest. On an H200 this took 26 s for
            a process's first MobileNet and 8.5 s for its first ResNet-18, and made their steps no faster.
        DETERMINISTIC: only kernels that give the same bits each time, so that a training can be repeated to
            the bit on the same card with the same versions. torch refuses an operation without such a kernel.
            `prepare_process` must run before the process first uses CUDA.
    """

    DEFAULT = "default"
    SEARCHED = "searched"
    DETERMINISTIC = "deterministic"


REPEATABLE_CUBLAS = ":4096:8"
"""Value of CUBLAS_WORKSPACE_CONFIG with which cuBLAS gives the same bits each time.

Source: NVIDIA, cuBLAS library, "Results reproducibility".
"""


def prepare_process(kernels: Kernels | str) -> None:
    """Set the environment that these kernels need, before the process's first matrix product on CUDA.

    torch reads CUBLAS_WORKSPACE_CONFIG once, at that product. If it was not set then, torch refuses all later
    products with deterministic kernels. A value set by the user is not changed.
    """
    if kernels == Kernels.DETERMINISTIC:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", REPEATABLE_CUBLAS)


def parse_kernels(name: str) -> Kernels:
    """The choice of that name.

    Raises:
        UnknownNameError: there is none; the message lists the known names.
    """
    try:
        return Kernels(name)
    except ValueError as error:
        raise UnknownNameError("choice of kernels", name, Kernels) from error
