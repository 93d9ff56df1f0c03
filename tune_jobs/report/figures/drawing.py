"""Draws descriptions in Vega-Lite as SVG and PNG in this process. The only file that imports the library.

vl-convert (1.9) is Vega with a JavaScript engine in one wheel of 31 MB: it draws without a browser, a server
or the network, in 0.05 to 0.4 s a picture. Plotly was the alternative: its page carries 4.5 MB of script,
and its SVG and PNG need a Chrome. Altair writes the same descriptions as ours by 1.6 s of imports.

The colours of text and lines are those of `colours`, which a page replaces in the dark by its style sheet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eml_models.wording import cut
from tune_jobs.errors import TuneJobsError, UndrawableError
from tune_jobs.report.figures.colours import AXIS, CATEGORIES, GRID, TEXT

FONT = "Arial, Liberation Sans, Helvetica, sans-serif"
"""Fonts of one width, so that a browser needs the room that was measured when the page was written."""

CONFIG: dict[str, Any] = {
    "background": None,
    "font": FONT,
    "aria": False,  # a label at every mark would be read aloud; the figure has a text and a table
    "view": {"stroke": None},
    "axis": {
        "labelColor": TEXT,
        "titleColor": TEXT,
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 12,
        "gridColor": GRID,
        "domainColor": AXIS,
        "tickColor": AXIS,
        "titlePadding": 8,
        "labelOverlap": True,
        "labelSeparation": 6,
        "labelLimit": 160,
        "titleLimit": 300,
    },
    "axisQuantitative": {"tickCount": 6},
    "legend": {
        "labelColor": TEXT,
        "titleColor": TEXT,
        "titleFontWeight": "normal",
        "orient": "bottom",
        "columns": 3,
        "labelLimit": 220,
    },
    "title": {"color": TEXT, "fontSize": 12, "fontWeight": "normal", "anchor": "start", "limit": 320},
    "text": {"color": TEXT},
    "range": {"category": list(CATEGORIES)},
}

LABELLED = re.compile(
    r'<(path|line|text) aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="[^"]*"([^>]*?)/>'
)
PLACE = re.compile(r' (?:transform|d)="[^"]*"')
NUMBER = re.compile(r"-?\d+\.\d{3,}")
CLIP = re.compile(r'(id="|url\(#)(clip\d+|gradient_\d+|linear_\d+)')


def draw_svg(spec: dict[str, Any], *, alt: str) -> str:
    """A picture as SVG with a text for people who do not see it.

    The description of a mark becomes its title, which a browser shows under the pointer.

    Raises:
        TuneJobsError: the extra `figures` is not installed, or the library cannot draw it.
    """
    with _refusing():
        svg: str = _library().vegalite_to_svg({**spec, "config": CONFIG})
    svg = LABELLED.sub(r"<\1\3><title>\2</title></\1>", svg)
    svg = PLACE.sub(lambda found: NUMBER.sub(_rounded, found[0]), svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{_escaped(alt)}" ', 1)


def draw_png(spec: dict[str, Any], *, scale: float) -> bytes:
    """A picture as PNG on white.

    Raises:
        TuneJobsError: the extra `figures` is not installed, or the library cannot draw it.
    """
    config = {**CONFIG, "background": "white"}
    with _refusing():
        png: bytes = _library().vegalite_to_png({**spec, "config": config}, scale=scale)
    return png


def with_own_ids(svg: str, prefix: str) -> str:
    """The picture with ids that no other picture of the page has.

    The library numbers them through its whole process; here they begin anew, so a picture of the same data
    has the same text each time.
    """
    numbers: dict[str, int] = {}

    def renamed(found: re.Match[str]) -> str:
        return f"{found[1]}{prefix}-{numbers.setdefault(found[2], len(numbers) + 1)}"

    return CLIP.sub(renamed, svg)


def can_draw() -> bool:
    """Whether the extra is installed."""
    try:
        _library()
    except TuneJobsError:
        return False
    return True


@contextmanager
def _refusing() -> Iterator[None]:
    """Errors of the library as a refusal: numbers at the ends of what a float holds have no axis."""
    try:
        yield
    except ValueError as error:
        reason = cut(" ".join(str(error).split()))
        raise UndrawableError(
            f"the picture cannot be drawn from its numbers: {reason}; its table has them"
        ) from error


def _library() -> Any:
    try:
        import vl_convert
    except ImportError as error:
        raise TuneJobsError("figures need a package: pip install 'tune-jobs[figures]'") from error
    return vl_convert


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
