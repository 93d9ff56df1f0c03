"""Arrow columns of any type as lists of Python's own values, with every digit.

pyarrow's `to_pylist` fails for dates outside Python's calendar, infinite dates, 24:00:00, nanoseconds of a
time, and unions. A value that Python cannot hold becomes text, in the form that DuckDB writes and reads.
Called by `frames` and `answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

INFINITE_DAYS = {2**31 - 1: "infinity", 1 - 2**31: "-infinity"}
INFINITE = {2**63 - 1: "infinity", 1 - 2**63: "-infinity"}
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIRST_S, LAST_S = (
    (end.replace(tzinfo=UTC) - datetime.fromtimestamp(0, UTC)) // timedelta(seconds=1)
    for end in (datetime.min, datetime.max)
)
DAY_S = 86_400
EPOCH = date(1970, 1, 1).toordinal()
CYCLE_DAYS, CYCLE_YEARS = 146_097, 400
"""The period after which the calendar repeats: 400 years, in days."""


def as_python(column: pa.ChunkedArray) -> list[Any]:
    """A value for each row: lists, dictionaries for structs, lists of pairs for maps; decimals are exact."""
    return [value for chunk in column.chunks for value in _values(chunk)]


def beyond_python(column: pa.ChunkedArray) -> bool:
    """Whether a column of instants, dates or times has a value that Python cannot hold."""
    kind = column.type
    if not pa.types.is_temporal(kind) or pa.types.is_duration(kind) or pa.types.is_interval(kind):
        return False
    limits = pc.min_max(_counts(column))
    low, high = limits["min"].as_py(), limits["max"].as_py()
    if low is None:
        return False
    counts = (low, high)
    if kind == pa.time64("ns"):  # each may have nanoseconds
        counts = _counts(column).drop_null().to_pylist()
    return not all(_is_within(kind, count) for count in counts)


def exact(value: Decimal) -> int | float | Decimal:
    """A decimal as an integer, as a float if that has all its digits, or unchanged."""
    if value.as_tuple().exponent == 0:
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else value


def _values(array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_map(kind):
        return _between(array, list(zip(_values(array.keys), _values(array.items), strict=True)))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _between(array, _values(array.values))
    if pa.types.is_fixed_size_list(kind):
        each = iter(_values(array.flatten()))  # without the elements of null lists
        size, there = range(kind.list_size), array.is_valid().to_pylist()
        return [[next(each) for _ in size] if valid else None for valid in there]
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        parts = [_values(part) for part in map(array.field, range(kind.num_fields))]
        rows = zip(*parts, strict=True) if parts else iter([()] * len(array))
        return [
            dict(zip(names, row, strict=True)) if valid else None
            for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)
        ]
    if pa.types.is_union(kind):
        parts = [_values(array.field(index)) for index in range(kind.num_fields)]
        return [
            parts[kind.type_codes.index(code)][row] for row, code in enumerate(array.type_codes.to_pylist())
        ]
    return _scalars(array)


def _between(array: pa.Array, parts: Sequence[Any]) -> list[Any]:
    """The parts split into lists at an array's offsets."""
    offsets, valid = array.offsets.to_pylist(), array.is_valid().to_pylist()
    return [
        list(parts[start:end]) if there else None
        for start, end, there in zip(offsets[:-1], offsets[1:], valid, strict=True)
    ]


def _scalars(array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _scalars(array.dictionary_decode())
    if pa.types.is_decimal(kind):
        return [None if value is None else exact(value) for value in array.to_pylist()]
    if pa.types.is_interval(kind):
        return [None if value is None else _span(value) for value in array.to_pylist()]
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        return _temporal(array)
    values: list[Any] = array.to_pylist()
    return values


def _temporal(array: pa.Array) -> list[Any]:
    counts = _counts(array).to_pylist()
    within = [count is not None and _is_within(array.type, count) for count in counts]
    known = pc.if_else(pa.array(within, pa.bool_()), array, pa.scalar(None, array.type)).to_pylist()
    write = _writer(array.type)
    return [
        value if inside or count is None else write(count)
        for value, inside, count in zip(known, within, counts, strict=True)
    ]


def _counts(column: Any) -> Any:
    """Days, or parts of a second."""
    return column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())


def _is_within(kind: pa.DataType, count: int) -> bool:
    """Whether Python has a value for a count of days since 1970, or of parts of a second."""
    if pa.types.is_date32(kind):
        return date.min.toordinal() <= count + EPOCH <= date.max.toordinal()
    per_second = PER_SECOND[kind.unit]
    if pa.types.is_time(kind):
        return count < DAY_S * per_second and not (kind.unit == "ns" and count % 1000)
    return FIRST_S * per_second <= count < (LAST_S + 1) * per_second and count not in INFINITE


def _writer(kind: pa.DataType) -> Callable[[int], str]:
    """A function that writes a count as text, for values that Python cannot hold."""
    if pa.types.is_date32(kind):
        return lambda days: INFINITE_DAYS.get(days) or "".join(_day(days))
    per_second = PER_SECOND[kind.unit]
    if pa.types.is_time(kind):
        return lambda count: _clock(count, per_second)
    zone = "" if kind.tz is None else "+00"
    return lambda count: INFINITE.get(count) or _instant(count, per_second) + zone


def _instant(count: int, per_second: int) -> str:
    days, rest = divmod(count, DAY_S * per_second)
    return f"{''.join(_day(days))} {_clock(rest, per_second)}"


def _day(days: int) -> tuple[str, str]:
    """The date of a day in an endless calendar, and the mark " (BC)" if it is before year 1."""
    cycles, rest = divmod(days, CYCLE_DAYS)
    day = date.fromordinal(rest + EPOCH)
    year = day.year + CYCLE_YEARS * cycles
    return (f"{year:04d}-{day:%m-%d}", "") if year > 0 else (f"{1 - year:04d}-{day:%m-%d}", " (BC)")


def _clock(count: int, per_second: int) -> str:
    seconds, rest = divmod(count, per_second)
    fraction = f".{rest:0{len(str(per_second)) - 1}d}".rstrip("0") if rest else ""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"


def _span(value: Any) -> pd.DateOffset:
    """An interval in the type that pandas gives to intervals outside of lists."""
    return pd.DateOffset(months=value.months, days=value.days, nanoseconds=value.nanoseconds)
