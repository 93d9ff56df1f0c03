"""The picture of the wings in layers, drawn from the contracts of `pyproject.toml` that hold their direction.

The background is opaque, so that the picture reads on a light and on a dark page. `docs/pictures/make.py`
writes it, and a test compares the written picture with this one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

PACKAGES = ("tune_jobs", "eml_models")
LEFT_OUT = ("__main__",)  # it calls `cli` and does nothing else
HOMES = {
    "cli": "click",
    "on_ray": "Ray",
    "report": "plots",
    "search": "Optuna",
    "store": "Parquet, SQL",
}
"""What a wing alone calls."""

WIDTH, ROW, BOX, GAP, MARGIN, LABEL = 760, 46, 34, 12, 20, 110
FONT = "font-family='system-ui, sans-serif'"
INK, PALE, BACK = "#1f2933", "#52606d", "#ffffff"
FILLS = {"tune_jobs": "#dbeafe", "eml_models": "#dcfce7"}


def layers_of(package: str) -> list[list[str]]:
    """The wings of a package, the highest layer first; wings of one layer do not import each other."""
    contracts = tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [found for found in contracts if found["name"] == f"{package} has one direction"]
    layers = [[name.strip().rpartition(".")[2] for name in layer.split("|")] for layer in contract["layers"]]
    return [layer for layer in layers if layer != list(LEFT_OUT)]


def layers_as_svg() -> str:
    """The layers of both packages as a picture."""
    parts: list[str] = []
    top = MARGIN
    for package in PACKAGES:
        layers = layers_of(package)
        parts += _package(package, layers, top=top)
        top += len(layers) * ROW + MARGIN
    height = top
    words = "The wings of tune_jobs and eml_models in layers. Each imports only from layers below it."
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}'"
        f" viewBox='0 0 {WIDTH} {height}' role='img' aria-label='{words}'>"
    )
    back = f"<rect width='{WIDTH}' height='{height}' fill='{BACK}'/>"
    return "\n".join([head, back, *parts, *_arrow(height), "</svg>", ""])


def _package(package: str, layers: list[list[str]], *, top: int) -> Iterator[str]:
    middle = top + len(layers) * ROW / 2
    yield _text(package, MARGIN, middle, size=15, weight=600, anchor="start")
    for at, layer in enumerate(layers):
        yield from _layer(layer, top=top + at * ROW, fill=FILLS[package])


def _layer(layer: list[str], *, top: int, fill: str) -> Iterator[str]:
    left = MARGIN + LABEL
    width = (WIDTH - left - 3 * MARGIN - GAP * (len(layer) - 1)) / len(layer)
    for at, name in enumerate(layer):
        x = left + at * (width + GAP)
        size = f"width='{width:g}' height='{BOX}' rx='5'"
        yield f"<rect x='{x:g}' y='{top}' {size} fill='{fill}' stroke='{PALE}'/>"
        home = HOMES.get(name)
        yield _text(name, x + width / 2 - (40 if home else 0), top + BOX / 2, size=14)
        if home:
            yield _text(home, x + width / 2 + 45, top + BOX / 2, size=12, fill=PALE)


def _arrow(height: int) -> Iterator[str]:
    x, end = WIDTH - MARGIN, height - MARGIN
    yield f"<path d='M{x} {MARGIN}V{end - 2}' stroke='{INK}' stroke-width='2'/>"
    yield f"<path d='M{x - 6} {end - 10}l6 10l6 -10' fill='none' stroke='{INK}' stroke-width='2'/>"
    yield (
        f"<text x='{x - 8}' y='{height / 2:g}' {FONT} font-size='12' fill='{PALE}' text-anchor='middle'"
        f" transform='rotate(-90 {x - 8} {height / 2:g})'>imports</text>"
    )


def _text(
    words: str, x: float, y: float, *, size: int, weight: int = 400, anchor: str = "middle", fill: str = INK
) -> str:
    return (
        f"<text x='{x:g}' y='{y:g}' {FONT} font-size='{size}' font-weight='{weight}' fill='{fill}'"
        f" text-anchor='{anchor}' dominant-baseline='central'>{escape(words)}</text>"
    )
