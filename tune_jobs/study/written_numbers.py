"""Numbers as people write them, on the command line and in files of points.

Pure functions. A number has a decimal point, never a decimal comma. Commas or underscores may stand in it
only where they group thousands; Python's own `int` and `float` read ``1_5`` as 15. Called by the command
line, by `param_texts`, by `tune_jobs.study.amounts`, and by `field_kinds` for the words of a refusal.
"""

from __future__ import annotations

import re
from decimal import Decimal

from eml_models.errors import InvalidValueError
from eml_models.wording import cut

GROUPED = r"[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?:_[0-9]{3})+)"
WHOLE = re.compile(rf"[+-]?(?:{GROUPED}|[0-9]+)(?:\.0*)?")
NUMBER = re.compile(
    rf"[+-]?(?:(?:{GROUPED}|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]{{1,4}})?", re.IGNORECASE
)
SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9}
COUNT_PATTERN = re.compile(r"(.*?[0-9.])\s*([kmg]?)", re.IGNORECASE | re.DOTALL)
"""A number and its suffix."""
MARKS = re.compile(r"[0-9]*[,_][0-9,_]*")
SEPARATORS = str.maketrans("", "", ",_")

MAX_WHOLE = 2**63 - 1
"""The largest whole number that the store holds."""


def read_decimal(text: str) -> Decimal:
    """A number, exactly: ``0.5``, ``.5``, ``+1.``, ``1e-3``, ``1,500,000``, ``1_500_000``.

    Raises:
        InvalidValueError: anything else; for a comma or an underscore the message shows the right form.
    """
    word = text.strip()
    if not NUMBER.fullmatch(word):
        raise InvalidValueError(
            f"a number is written like 0.5, 1e-3 or 1,500,000, got {cut(text)}{way_out(word)}"
        )
    return Decimal(word.translate(SEPARATORS))


def read_number(text: str) -> float:
    """A number as the nearest float.

    Raises:
        InvalidValueError: the text is no number, or no float holds it.
    """
    number = float(read_decimal(text))
    if number in (float("inf"), float("-inf")):
        raise InvalidValueError(f"a number must be within +-1.8e308, got {cut(text)}")
    return number


def read_whole(text: str) -> int:
    """A whole number: ``32``, ``-1``, ``1,500,000``, and ``32.0``, as tables with nulls write it.

    Raises:
        InvalidValueError: anything else, or a number beyond 64 bits.
    """
    word = text.strip()
    if not WHOLE.fullmatch(word):
        raise InvalidValueError(
            f"a whole number is written like 32 or 1,500,000, got {cut(text)}{way_out(word)}"
        )
    number = Decimal(word.translate(SEPARATORS))
    if abs(number) > MAX_WHOLE:
        raise InvalidValueError(f"a whole number must fit in 64 bits, got {cut(text)}")
    return int(number)


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


def way_out(word: str) -> str:
    """The right form of a number whose comma or underscore groups nothing, for a message; else empty."""
    match = MARKS.search(word)
    if match is None:
        return ""
    if match[0].count(",") == 1 and "_" not in match[0]:
        pointed = cut(word.replace(",", "."))
        return f"; a decimal comma is written as a point ({pointed}), a comma groups three digits (1,500,000)"
    return "; commas or underscores group three digits each, as in 1,500,000 or 1_500_000"
