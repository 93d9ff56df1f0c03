"""Counts the batches of batch norms on the host while a network trains.

torch's batch norms count their batches in a tensor, with one addition per norm and step. On a GPU each
addition is a kernel: 20 of the 180 operators of a ResNet-18's step, and 52 of the 380 of a MobileNet's. No
result depends on the count, because the momentum is fixed. Here the count is added once, after the epoch, so
that the state of the network is as torch leaves it. `eml_models.training.loop.Fit` uses it for each epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def counted_on_host(trained: nn.Module, used: nn.Module, num_batches: int) -> Iterator[None]:
    """Let the batch norms of `trained` count no batch inside; at the end add `num_batches` to their counts.

    After an exception the counts stay as they were. Left out are norms that need the count (those without a
    momentum) and norms with a forward of their own.

    Args:
        used: the network for validation: `trained`, or its average, which copies the counts of `trained`
            inside.
    """
    norms = _list_norms(trained)
    counts = _list_counts(norms)
    for norm in norms:
        norm.num_batches_tracked = None
    try:
        yield
    finally:
        for norm, count in zip(norms, counts, strict=True):
            norm.num_batches_tracked = count
    if used is not trained:
        counts += _list_counts(_list_norms(used))
    if counts:
        torch._foreach_add_(counts, num_batches)


def _list_norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch norms that update their count and do not read it."""
    return [
        module
        for module in network.modules()
        if isinstance(module, _BatchNorm)
        and type(module).forward is _BatchNorm.forward
        and module.momentum is not None
        and module.num_batches_tracked is not None
    ]


def _list_counts(norms: Sequence[_BatchNorm]) -> list[torch.Tensor]:
    return [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
