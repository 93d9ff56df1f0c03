"""Parts of descriptions in Vega-Lite that figures share: axes, dots and lines.

Fields of the data have our own short names, never those of a user's parameters and metrics, because the
language reads dots and brackets in names as paths. Users' texts are titles and values only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tune_jobs.report.column_numbers import nearest_float
from tune_jobs.report.figures.figure import Spec
from tune_jobs.report.figures.seen import shown

TITLE_LENGTH = 48

LEVEL_LENGTH = 26
"""Characters of the name of a level, which the drawing would else cut at 160 pixels, other levels alike."""

SLANTED, UPRIGHT = 8, 16
"""As many levels have room for their texts on a phone, if these are slanted or upright."""


def numbers(field: str, title: str, **scale: Any) -> Spec:
    """A channel of numbers; the axis need not begin at 0."""
    return {
        "field": field,
        "type": "quantitative",
        "title": short(title),
        "scale": {"zero": False, "nice": True, **scale},
    }


def prefixed(ticks: int) -> Spec:
    """An axis of large numbers with prefixes such as k and M, which 0 does not have."""
    return {"format": "~s", "labelExpr": "datum.value ? datum.label : '0'", "tickCount": ticks}


def names(field: str, title: str | None = None, **more: Any) -> Spec:
    """A channel of names, in the order of the data."""
    return {"field": field, "type": "nominal", "title": title and short(title), "sort": None, **more}


def levels_axis(count: int) -> Spec:
    """The axis of this many levels, each with its text, but where there are too many for all texts."""
    return {"labelAngle": -30 if count <= SLANTED else -90, "labelOverlap": count > UPRIGHT}


def colours(field: str, of: dict[str, str], title: str | None = None) -> Spec:
    """A channel that colours by name, with a legend."""
    return {
        "field": field,
        "type": "nominal",
        "title": title,
        "scale": {"domain": list(of), "range": list(of.values())},
    }


TIP: Spec = {"field": "tip", "type": "nominal"}
"""The channel of a mark's words, which a browser shows under the pointer."""


def layer(
    mark: dict[str, Any], *, where: str = "", values: Sequence[Any] | None = None, **encoding: Any
) -> Spec:
    """A layer.

    Args:
        where: only data whose `kind` is this.
        values: data of its own.
    """
    if "description" in encoding:
        mark = {**mark, "aria": True}
    found: Spec = {"mark": mark, "encoding": encoding}
    if where:
        found["transform"] = [{"filter": {"field": "kind", "equal": where}}]
    if values is not None:
        found["data"] = {"values": list(values)}
    return found


def short(text: str, most: int = TITLE_LENGTH) -> str:
    """A text for an axis or a cell of a picture."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _level(text: str) -> str:
    return short(text, LEVEL_LENGTH)


def distinct_texts(values: Sequence[Any]) -> dict[Any, str]:
    """The text of each value for an axis; no other value has it, however alike they are."""
    texts = [shown(value) for value in values]
    if len(set(texts)) < len(texts):
        texts = [str(value) for value in values]
    seen = Counter(map(_level, texts))
    return {
        value: _level(text if seen[_level(text)] == 1 else f"({place}) {text}")
        for place, (value, text) in enumerate(zip(values, texts, strict=True), start=1)
    }


def widened(values: Iterable[float]) -> Spec:
    """A scale's domain if all values are equal, which otherwise have an axis without a length."""
    known = set(values)
    if len(known) != 1:
        return {}
    (value,) = known
    pad = 0.05 * abs(value) or 0.5
    return {"domain": [nearest_float(value - pad), nearest_float(value + pad)]}
