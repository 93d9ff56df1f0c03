"""MACs as people write them: a count, or a share of a network."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError
from eml_models.networks.registry import build_plan
from tune_jobs.study.amounts import parse_macs


@pytest.mark.parametrize(("text", "count"), [("30M", 30_000_000), ("1,500k", 1_500_000), (".5k", 500)])
def test_macs_may_be_a_count(text: str, count: int) -> None:
    assert parse_macs(text, "digits") == count
    with pytest.raises(InvalidValueError, match=r"a number with k, M or G .*or a share of a network"):
        parse_macs(f"{text}!", "digits")


def test_a_share_of_a_network_is_a_number_too() -> None:
    macs = build_plan("resnet18", input_shape=(1, 8, 8), num_classes=10).macs
    assert parse_macs("0.5*resnet18", "digits") == macs // 2
    assert parse_macs("1,000 x resnet18", "digits") == 1000 * macs
    for text in (
        "0,5*resnet18",
        "0_5*resnet18",
        "nan*resnet18",
        "-1*resnet18",
        "*resnet18",
        "1e308*resnet18",
    ):
        with pytest.raises(InvalidValueError):
            parse_macs(text, "digits")
    with pytest.raises(InvalidValueError, match=r"written as a point \('0\.5'\)"):
        parse_macs("0,5*resnet18", "digits")
