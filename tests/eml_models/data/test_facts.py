"""Facts of a data set: JSON both ways, and facts that contradict themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exporting_testing import FACTS

from eml_models.data.facts import DataFacts
from eml_models.errors import InvalidValueError


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mean": [0.5, 0.5]}, "mean and std must have 1 numbers"),
        ({"std": [0.0]}, "std must be positive"),
        ({"mean": [float("nan")]}, "must be finite"),
        ({"input_shape": [2, 2]}, "input_shape must be"),
        ({"class_names": ["a"]}, "there must be 2 class_names"),
        ({"more": 1}, "more"),
    ],
)
def test_facts_that_contradict_themselves_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidValueError, match=says):
        DataFacts.from_dict({**FACTS.as_dict(), **changes})
    assert DataFacts.from_dict(json.loads(json.dumps(FACTS.as_dict()))) == FACTS
