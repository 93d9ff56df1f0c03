"""MACs as people write them: `130M`, `1e6`, `0.5 x resnet18`.

A pure function. Called by `tune_jobs.study.words`, for the command line and for Python.
"""

from __future__ import annotations

import re

from eml_models.data.datasets import get_dataset_spec
from eml_models.errors import InvalidValueError
from eml_models.networks.registry import build_plan
from eml_models.wording import cut
from tune_jobs.study.written_numbers import MAX_WHOLE, parse_count, read_decimal, way_out

SHARE_PATTERN = re.compile(r"\s+x\s+")


def parse_macs(text: str, dataset: str) -> int:
    """A count, or a share of a family's default network on `dataset`: ``0.5*resnet18`` ``0.5 x resnet18``."""
    share, star, family = SHARE_PATTERN.sub("*", text).partition("*")
    if not star:
        return parse_count(text, also=", or a share of a network such as 0.5*resnet18")
    rule = f"a share must be a positive number, as in 0.5*resnet18, got {cut(text)}"
    try:
        factor = read_decimal(share)
    except InvalidValueError as error:
        raise InvalidValueError(rule + way_out(share.strip())) from error
    if not factor > 0:
        raise InvalidValueError(rule)
    spec = get_dataset_spec(dataset)
    plan = build_plan(family.strip(), input_shape=spec.input_shape, num_classes=spec.num_classes)
    macs = factor * plan.macs
    if macs > MAX_WHOLE:
        raise InvalidValueError(f"a limit must fit in 64 bits, got {cut(text)}")
    return round(macs)
