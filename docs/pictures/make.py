"""Makes the pictures of the README and of the pages: `make pictures`, in about two minutes of a core.

It runs two shipped studies in this process, without Ray, into a store that is removed at the end. Their
figures are written beside this file, with what a terminal shows of one of them, and the layers of the code.
Each picture has an opaque background, so that it reads on a light and on a dark page.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from building.layers import layers_as_svg
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from eml_models.whole_files import write_whole
from tune_jobs import Results, run_study
from tune_jobs.inputs.shipped import digits_front, digits_recipes

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

FIGURES = {
    digits_recipes: ("curves", "rungs", "ledger"),
    digits_front: ("front", "history", "hypervolume", "importance"),
}
"""The figures of each study."""

SHOWN = "show digits-recipes --top 3"
"""The command whose output becomes a picture of a terminal."""

COLUMNS = 118
BACK = "#ffffff"
MARGIN = 12
HEAD = re.compile(r'(<svg [^>]*?)width="(\d+)" height="(\d+)" viewBox="0 0 \2 \3"([^>]*>)')

PAPER = TerminalTheme((255, 255, 255), (31, 35, 40), [(31, 35, 40)] * 8, [(31, 35, 40)] * 8)
TERMINAL = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {terminal_width} {terminal_height}" role="img">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px;
line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}</defs>
<rect width="100%" height="100%" fill="#ffffff"/>
<g transform="translate(9, 6)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">
{matrix}
</g></g></svg>
"""
"""A terminal as SVG. Rich's own has fonts from a server, and a frame."""


def main() -> None:
    """Write every picture."""
    write("layers", layers_as_svg())
    with tempfile.TemporaryDirectory() as store:
        for study, names in FIGURES.items():
            results = run_study(study(), store=store, inline=True)
            for name in names:
                write(name, on_paper(results.figure(name).svg()))
            say(results)
        write("show", terminal(SHOWN, output_of(SHOWN, store)))


def write(name: str, svg: str) -> None:
    """Write a picture beside this file."""
    write_whole(HERE / f"{name}.svg", svg.encode())
    print(f"wrote docs/pictures/{name}.svg ({len(svg) / 1e3:.0f} kB)")


def on_paper(svg: str) -> str:
    """A figure on an opaque background, with a margin."""
    head = HEAD.search(svg)
    assert head is not None, svg[:200]
    width, height = (int(found) + 2 * MARGIN for found in head.groups()[1:3])
    box = f'viewBox="{-MARGIN} {-MARGIN} {width} {height}"'
    paper = f'<rect x="{-MARGIN}" y="{-MARGIN}" width="{width}" height="{height}" fill="{BACK}"/>'
    opened = f'{head[1]}width="{width}" height="{height}" {box}{head[4]}{paper}'
    return f"{svg[: head.start()]}{opened}{svg[head.end() :]}\n"


def output_of(command: str, store: str) -> str:
    """What a command prints to a terminal of `COLUMNS` columns."""
    words = [sys.executable, "-m", "tune_jobs", *command.split(), "--store", store]
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout


def terminal(command: str, output: str) -> str:
    """A command and its output as a terminal shows them."""
    lines = [f"$ tune-jobs {command}", "", *output.rstrip().splitlines(), ""]
    console = Console(record=True, width=max(map(len, lines)) + 3, file=io.StringIO())
    for line in lines:
        console.print(Text(line), soft_wrap=True)
    return console.export_svg(theme=PAPER, code_format=TERMINAL, unique_id="terminal")


def say(results: Results) -> None:
    """Print what the pages may say of the study."""
    print(results.name, {str(state): count for state, count in results.counts.items()}, results.best.value)


if __name__ == "__main__":
    main()
