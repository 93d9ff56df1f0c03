"""Counts of batch norms: kept on the host, and equal to torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eml_models import Recipe, fit
from eml_models.training.batch_counts import counted_on_host


def test_the_count_is_torchs_after_each_epoch() -> None:
    recipe = Recipe(learning_rate=0.1, epochs=2, max_train_samples=100, batch_size=40, ema_decay=0.9)
    training = fit(recipe)
    for epoch in (1, 2):
        next(training)
        snapshot = training.snapshot()
        for state in (snapshot.module, snapshot.trained):
            counts = {int(value) for name, value in state.items() if name.endswith("num_batches_tracked")}
            assert counts == {3 * epoch}


def test_nothing_is_counted_in_tensors_inside() -> None:
    module = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm1d(3))
    count = module[0].num_batches_tracked
    with counted_on_host(module, module, 4):
        module[0](torch.zeros(2, 2, 3, 3))
        assert module[0].num_batches_tracked is None
        assert not int(count)
    assert module[0].num_batches_tracked is count
    assert [int(norm.num_batches_tracked) for norm in module] == [4, 4]


def test_a_norm_that_reads_its_count_keeps_it() -> None:
    module = nn.BatchNorm2d(2, momentum=None)
    with counted_on_host(module, module, 1):
        module(torch.zeros(2, 2, 3, 3))
    assert int(module.num_batches_tracked) == 1


def test_a_failed_epoch_counts_nothing() -> None:
    module = nn.BatchNorm2d(2)
    with pytest.raises(RuntimeError, match="ended"), counted_on_host(module, module, 4):
        raise RuntimeError("ended")
    assert int(module.num_batches_tracked) == 0
