"""The numbers of a column in one format, so that a reader compares them at a glance.

A number by itself is written by `text.format_value`. Pure; called by `text` and by the modules that write
several numbers into one cell.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

LARGE = 1000
"""The size at which the fraction of a number says little, so that `FEW_DECIMALS` is enough."""

DECIMALS, FEW_DECIMALS = 4, 1

PART_DIGITS = 3
"""Digits of the largest part of a sum."""

MAX_DECIMALS = 7
MAX_DIGITS = 10
"""Digits of the widest number, beyond which a column is written with exponents."""

WITH_EXPONENT = ".3e"
AS_WHOLE = ",.0f"
MAX_WHOLE = 2.0**53
"""The size up to which a float holds every whole number."""

SHARE = ".1%"


def column_format(values: Iterable[float], *, decimals: int = DECIMALS) -> str:
    """The format specification of a column: the same decimals for all, or exponents for all.

    All have `decimals`, or `FEW_DECIMALS` if one of them is large.
    The least number keeps two significant digits, or all of its digits if it has fewer. Where that would make
    the greatest too wide, all numbers have an exponent.
    """
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    greatest = max(sizes, default=1.0)
    enough = decimals if greatest < LARGE else FEW_DECIMALS
    decimals = max([enough, *map(_decimals_of, sizes)])
    digits = math.floor(math.log10(greatest)) + 1 + decimals
    return f",.{decimals}f" if decimals <= MAX_DECIMALS and digits <= MAX_DIGITS else WITH_EXPONENT


def parts_format(values: Iterable[float]) -> str:
    """The format specification of a column of parts of a sum: small parts count for little, so they end where
    the third digit of the largest ends. All have at least `FEW_DECIMALS`.
    """
    greatest = max((abs(value) for value in values if value and math.isfinite(value)), default=1.0)
    return f",.{max(FEW_DECIMALS, PART_DIGITS - 1 - math.floor(math.log10(greatest)))}f"


def whole(value: Any) -> Any:
    """A metric or cost of own training as a whole number if it is one, such as a number of parameters."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= MAX_WHOLE
    return int(value) if is_whole else value


def whole_column(values: Sequence[Any]) -> list[Any]:
    """The values of a metric or cost of own training: whole numbers if all of them are, else floats."""
    found = [whole(value) for value in values]
    if all(value is None or isinstance(value, int) for value in found):
        return found
    return [float(value) if isinstance(value, int) else value for value in found]


def nearest_float(value: float) -> float:
    """A finite number as it is, and the nearest one to a number that is beyond all of them."""
    return max(-sys.float_info.max, min(value, sys.float_info.max))


def percent(share: float) -> str:
    """A share of a whole for people, with one decimal: ``12.5 %``."""
    return f"{share:{SHARE}}".replace("%", " %")


def _decimals_of(size: float) -> int:
    """The decimals that show two significant digits, or one where the second is 0."""
    mantissa, exponent = f"{size:.1e}".split("e")
    return max(0, -int(exponent) + (not mantissa.endswith("0")))
