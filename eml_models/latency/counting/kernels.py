"""How many kernels eager torch launches on CUDA for one operator, at least: known without a GPU.

Only operators with more than one are known by name. `operators` asks for each operator that it counts.

Source: torch 2.14's aten/src/ATen/native/cuda/Normalization.cu and Convolution.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

NORMS = ("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training")
NORM_BACKWARD = "native_batch_norm_backward"
CONVOLUTION_BACKWARD = "convolution_backward"

NATIVE_NORM = 3
"""Kernels of torch's own batch norm, forward: in training the statistics, their running means, and the map;
in eval mode a copy of the mean, the deviation, and the map."""


def kernels_of(name: str, args: Sequence[Any]) -> int:
    """The fewest kernels of an operator with these arguments.

    A convolution's backward pass computes the gradients of its input, its weight and its bias, each by
    itself. A batch norm is one kernel of cuDNN, or several of torch's own.
    """
    if name == CONVOLUTION_BACKWARD:
        return max(1, sum(map(bool, args[-1])))
    if name in NORMS:
        return 1 if is_cudnn_norm(args[0].dtype, args[1].dtype) else NATIVE_NORM
    if name == NORM_BACKWARD:
        images, weight = args[1], args[2]
        if is_cudnn_norm(images.dtype, weight.dtype):
            return 1
        # sums and map are one kernel in NCHW
        return 2 if images.is_contiguous(memory_format=torch.channels_last) else 1
    return 1


def is_cudnn_norm(images: torch.dtype, weight: torch.dtype) -> bool:
    """Whether torch gives a batch norm on CUDA to cuDNN: fp32, and fp16 with weights in fp32; never bf16."""
    return weight is torch.float32 and images in (torch.float32, torch.float16)
