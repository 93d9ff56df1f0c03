"""A figure as a value: a picture's description, its data as a table, and the words around it.

Pictures are described in Vega-Lite as plain data, so that a figure can be compared, sent and changed
(``altair.Chart.from_dict(figure.spec())``), and no plotting library is needed until it is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError
from tune_jobs.errors import TuneJobsError
from tune_jobs.report.tables import Table

Spec = dict[str, Any]
"""A description in Vega-Lite."""

WIDE, NARROW = 760, 350
"""Widths of a picture in pixels: for a page or a paper, and for a phone."""

PANEL = 340
"""Least width of a panel in pixels: a wide figure has several of them side by side."""

MARGIN = 62
"""Pixels beside the plot of a panel, for its axis."""

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
"""The name of the language; nothing is loaded from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of a study.

    Attributes:
        name: its name in `catalog`.
        title: a headline.
        how: a sentence or two on how to read it.
        alt: what the picture shows, for people who do not see it.
        table: the data that the picture shows.
        panels: views in Vega-Lite without data, width and height, drawn side by side.
        values: the data of the panels, a mapping for each mark.
        height: of a panel, in pixels.
        least: width of a panel in pixels, at which it is still readable.
        notes: what was left out or joined, and why a reader must be careful.
    """

    name: str
    title: str
    how: str
    alt: str
    table: Table
    panels: Sequence[Spec]
    values: Sequence[Mapping[str, Any]] = ()
    height: int = 260
    least: int = PANEL
    notes: tuple[str, ...] = ()

    def spec(self, width: int = WIDE) -> Spec:
        """The whole picture in Vega-Lite.

        Args:
            width: of the picture, in pixels.
        """
        columns = max(1, min(len(self.panels), width // self.least))
        size = {"width": width // columns - MARGIN, "height": self.height}
        views = [{**panel, **size} for panel in self.panels]
        whole = views[0] if len(views) == 1 else {"concat": views, "columns": columns, "spacing": 24}
        return {"$schema": SCHEMA, "data": {"values": list(self.values)}, **whole}

    def svg(self, width: int = WIDE) -> str:
        """The picture as SVG, which needs no script.

        Raises:
            TuneJobsError: the extra `figures` is not installed, or the library cannot draw it.
        """
        from tune_jobs.report.figures.drawing import draw_svg

        return draw_svg(self.spec(width), alt=self.alt)

    def png(self, width: int = WIDE, *, scale: float = 2.0) -> bytes:
        """The picture as PNG.

        Args:
            scale: pixels of the file for each pixel of the picture.

        Raises:
            TuneJobsError: the extra `figures` is not installed, or the library cannot draw it.
        """
        from tune_jobs.report.figures.drawing import draw_png

        return draw_png(self.spec(width), scale=scale)

    def save(self, path: str | Path, *, width: int = WIDE) -> Path:
        """Write the picture to a file, whose ending says the form: ``.svg`` or ``.png``.

        Raises:
            InvalidValueError: the file has another ending.
            TuneJobsError: the extra `figures` is not installed, or the library cannot draw it.
        """
        from eml_models.whole_files import write_whole

        target = Path(path)
        ending = target.suffix.lower()
        if ending not in (".svg", ".png"):
            raise InvalidValueError(
                f"a picture is an .svg or a .png file, got {target.name!r}; name the file such as"
                f" {self.name}.svg"
            )
        content = self.png(width) if ending == ".png" else self.svg(width).encode()
        write_whole(target, content)
        return target

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """What a notebook shows: the picture, which needs no network and no script; or how to get it."""
        text = f"Figure({self.name!r}: {self.title})"
        try:
            return {"image/svg+xml": self.svg(), "text/plain": text}
        except TuneJobsError as error:
            return {"text/plain": f"{text}; {error}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Undrawn:
    """A figure that the rows of a study do not give, and why."""

    name: str
    title: str
    why: str
