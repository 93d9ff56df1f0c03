"""How Sphinx builds the pages: `make docs`. Nothing is fetched, and no page needs a network to be read."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

project = PROJECT["name"]
release = PROJECT["version"]
copyright = f"the authors of {project}, {PROJECT['license']}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4  # `page.md#a-heading` works here as it does in the repository

autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False

OF_THE_REPOSITORY = re.compile(r"(?<=\]\()(?=\.\./[^)]*\.md\))")


def setup(app: Sphinx) -> None:
    """Let a page link to a Markdown file of the repository that is no page: it is copied beside the pages."""
    app.connect(
        "source-read",
        lambda _app, _name, source: source.__setitem__(0, OF_THE_REPOSITORY.sub("path:", source[0])),
    )
