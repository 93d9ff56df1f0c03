"""Casting weights: all layers except the batch norms."""

from __future__ import annotations

import torch
from latency_testing import with_used_norms
from torch import nn

from eml_models.latency.measuring.modes import parse_mode
from eml_models.latency.measuring.preparing import Prepared
from eml_models.networks.registry import build_model


def test_casting_weights_leaves_batch_norms_as_they_are() -> None:
    model = network()
    prepared = Prepared(model, parse_mode("bf16-weights"), CPU)
    originals = dict(model.named_modules())
    for name, part in prepared.module.named_modules():
        for key, tensor in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)):
            if isinstance(part, nn.BatchNorm2d):
                assert torch.equal(tensor, getattr(originals[name], key))
            else:
                assert tensor.dtype is torch.bfloat16
    assert prepared(prepared.place(IMAGES)).dtype is torch.bfloat16


CPU = torch.device("cpu")


IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def network() -> nn.Module:
    model = build_model("mobilenet", input_shape=(3, 8, 8), num_classes=10, width_mult=0.1)
    return with_used_norms(model)
