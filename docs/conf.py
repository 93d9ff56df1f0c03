"""How Sphinx builds the pages: `make docs`. Nothing is fetched, and no page needs a network to be read."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from building.commands import commands_as_markdown  # noqa: E402 - it lies beside this file

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

project = PROJECT["name"]
release = PROJECT["version"]
copyright = f"the authors of {project}, {PROJECT['license']}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4  # `page.md#a-heading` works here as it does in the repository

autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False

smartquotes_action = "q"  # two hyphens stay two

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False

OF_THE_REPOSITORY = re.compile(r"(?<=\]\()(?=\.\./[^)]*\.md\))")
COMMANDS = "<!-- commands -->"
"""Where the reference of commands stands in its page."""


def setup(app: Sphinx) -> None:
    """Complete the text of each page before it is read."""
    app.connect("source-read", complete)


def complete(app: Sphinx, name: str, source: list[str]) -> None:
    """Let a page link to a Markdown file that is no page, which is copied, and put in what is made."""
    text = OF_THE_REPOSITORY.sub("path:", source[0])
    source[0] = text.replace(COMMANDS, commands_as_markdown()) if name == "cli" else text
