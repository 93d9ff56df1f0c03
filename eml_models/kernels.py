"""How a training on CUDA comes to its kernels: a closed list, without torch.

`eml_models.device_state` acts on it; run settings and the command line name it.
"""

from __future__ import annotations

from enum import StrEnum

from eml_models.errors import UnknownNameError


class Kernels(StrEnum):
    """How a training on CUDA comes to its kernels. On a CPU all three are the same.

    Attributes:
        DEFAULT: cuDNN's own rules name a kernel for each shape, without a trial.
        SEARCHED: cuDNN times its kernels for each shape and keeps the quickest. On an H200 that took 26 s of
            a process's first MobileNet and 8.5 s of its first ResNet-18, and made their steps no faster.
        DETERMINISTIC: only kernels that give the same bits each time, so that a training can be repeated to
            the bit on the same card with the same versions. torch refuses an operation that has none. cuBLAS
            reads CUBLAS_WORKSPACE_CONFIG at its first use in a process: where CUDA was used before, set it to
            ``:4096:8`` at the start of the program.
    """

    DEFAULT = "default"
    SEARCHED = "searched"
    DETERMINISTIC = "deterministic"


def parse_kernels(name: str) -> Kernels:
    """The choice of that name.

    Raises:
        UnknownNameError: there is none.
    """
    try:
        return Kernels(name)
    except ValueError as error:
        raise UnknownNameError("choice of kernels", name, Kernels) from error
