"""Campaigns: the networks that they can compare."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError
from eml_models.latency.explaining.campaign import Campaign
from eml_models.latency.measuring.modes import PLAIN
from eml_models.networks.words import (
    NetworkSpec,
    parse_network,
)

OF_A_TRIAL = NetworkSpec(name="s/1", model="small_cnn", input_shape=(1, 8, 8), num_classes=2)


def test_campaign_compares_nothing_on_different_images() -> None:
    with pytest.raises(InvalidValueError, match="on one input, got networks on images of 3x32x32, 1x8x8"):
        Campaign(networks=(parse_network("resnet18"), OF_A_TRIAL), modes=(PLAIN,), batch_sizes=(1,))
