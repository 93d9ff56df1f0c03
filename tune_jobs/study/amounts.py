"""Amounts as people write them: `130M`, `1e6`, `0.5 x resnet18`.

Pure functions. Called by `tune_jobs.study.words`, for the command line and for Python.
"""

from __future__ import annotations

import re
from decimal import Decimal

from eml_models.data.datasets import get_dataset_spec
from eml_models.errors import InvalidValueError
from eml_models.networks.registry import build_plan
from eml_models.wording import cut
from tune_jobs.study.written_numbers import MAX_WHOLE, read_decimal, way_out

SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9}
SHARE_PATTERN = re.compile(r"\s+x\s+")
COUNT_PATTERN = re.compile(r"(.*?[0-9.])\s*([kmg]?)", re.IGNORECASE | re.DOTALL)
"""A number (`tune_jobs.study.written_numbers` reads it) and its suffix."""


def parse_count(text: str, *, also: str = "") -> int:
    """A whole number, or a number with k, M or G (decimal, any case): ``30M`` is 30,000,000.

    Commas and underscores may stand where they group thousands: ``1,500,000``.

    Args:
        also: another form that the caller takes, for the message.

    Raises:
        InvalidValueError: anything else, or a value that is not a positive whole number of at most 64 bits.
    """
    rule = (
        f"a count is a positive whole number, or a number with k, M or G such as 30M{also}, got {cut(text)}"
    )
    match = COUNT_PATTERN.fullmatch(text.strip())
    try:
        value = read_decimal(match[1]) * SUFFIXES.get(match[2].lower(), 1) if match else Decimal(0)
    except InvalidValueError as error:
        raise InvalidValueError(rule + way_out(text.strip())) from error
    if not 1 <= value <= MAX_WHOLE or value != value.to_integral_value():
        raise InvalidValueError(rule)
    return int(value)


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
