"""Folding batch norms into convolutions: the same logits, and the norms that stay."""

from __future__ import annotations

import pytest
import torch
from latency_testing import with_used_norms
from torch import nn

from eml_models.errors import InvalidValueError
from eml_models.latency.measuring.folding import fold_batch_norms
from eml_models.networks.registry import build_model


def network() -> nn.Module:
    model = build_model("mobilenet", input_shape=(3, 8, 8), num_classes=10, width_mult=0.1)
    return with_used_norms(model)


def test_folding_leaves_no_batch_norm_and_the_same_logits() -> None:
    model, images = network().eval(), torch.rand(4, 3, 8, 8)
    expected = model(images)
    count = sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())
    assert fold_batch_norms(model) == count > 50
    assert not any(isinstance(part, nn.BatchNorm2d) for part in model.modules())
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)


def test_folding_keeps_a_batch_norm_whose_convolution_is_read_elsewhere() -> None:
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            maps = self.conv(x)
            return self.norm(maps) + maps

    model = Forked().eval()
    assert fold_batch_norms(model) == 0
    with pytest.raises(InvalidValueError, match="eval mode only"):
        fold_batch_norms(model.train())


def test_folding_keeps_a_batch_norm_that_is_no_affine_map_or_called_by_name() -> None:
    class Named(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            norm: torch.Tensor = self[1](input=self[0](x))
            return norm

    parts = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert fold_batch_norms(Named(*parts).eval()) == 0
    unused = nn.BatchNorm2d(4, track_running_stats=False)
    assert fold_batch_norms(nn.Sequential(parts[0], unused).eval()) == 0
    assert fold_batch_norms(nn.Sequential(*parts).eval()) == 1
