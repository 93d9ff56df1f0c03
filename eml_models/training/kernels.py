"""How a training on CUDA comes to its kernels: a closed list, without torch.

`eml_models.training.device_state` acts on it; run settings and the command line name it.
"""

from __future__ import annotations

import os
from enum import StrEnum

from eml_models.errors import UnknownNameError


class Kernels(StrEnum):
    """How a training on CUDA comes to its kernels. On a CPU all three are the same.

    Attributes:
        DEFAULT: cuDNN's own rules name a kernel for each shape, without a trial.
        SEARCHED: cuDNN times its kernels for each shape and keeps the quickest. On an H200 that took 26 s of
            a process's first MobileNet and 8.5 s of its first ResNet-18, and made their steps no faster.
        DETERMINISTIC: only kernels that give the same bits each time, so that a training can be repeated to
            the bit on the same card with the same versions. torch refuses an operation that has none. Where a
            process has used CUDA before, call `prepare_process` before that.
    """

    DEFAULT = "default"
    SEARCHED = "searched"
    DETERMINISTIC = "deterministic"


REPEATABLE_CUBLAS = ":4096:8"
"""Value of CUBLAS_WORKSPACE_CONFIG with which cuBLAS gives the same bits each time.

Source: NVIDIA, cuBLAS library, "Results reproducibility".
"""


def prepare_process(kernels: Kernels | str) -> None:
    """What these kernels need of a process before its first product of matrices on CUDA.

    torch looks at CUBLAS_WORKSPACE_CONFIG once, at that product, and refuses every later one with
    deterministic kernels if it was not set. What the user has set stays.
    """
    if kernels == Kernels.DETERMINISTIC:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", REPEATABLE_CUBLAS)


def parse_kernels(name: str) -> Kernels:
    """The choice of that name.

    Raises:
        UnknownNameError: there is none.
    """
    try:
        return Kernels(name)
    except ValueError as error:
        raise UnknownNameError("choice of kernels", name, Kernels) from error
