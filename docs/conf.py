"""How Sphinx builds the pages: `make docs`. Nothing is fetched, and no page needs a network to be read."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from docutils.nodes import Node
from sphinx.addnodes import desc_content, desc_signature, pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from building.commands import commands_as_markdown  # noqa: E402 - it lies beside this file
from building.names import (  # noqa: E402 - as well
    expand_names,
    inner_names,
    public_name,
    readable_signature,
    ready_for_sphinx,
)

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

project = PROJECT["name"]
release = PROJECT["version"]
copyright = f"the authors of {project}, {PROJECT['license']}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4  # `page.md#a-heading` works here as it does in the repository

autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
add_module_names = False
default_role = "code"  # what stands in ticks in a docstring
python_maximum_signature_line_length = 70

OTHER_PACKAGES = ("collections", "pathlib", "os", "typing", "torch", "numpy", "np", "pandas", "pd", "optuna")
nitpick_ignore_regex = [  # their pages are elsewhere, and a build fetches no index of them
    (r"py:.*", rf"({'|'.join(OTHER_PACKAGES)})\..*"),
]

highlight_language = "text"  # of blocks that name none: what a command prints

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["wrapped.css"]
html_title = f"{project} {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False

OF_THE_REPOSITORY = re.compile(r"(?<=\]\()(?=\.\./[^)]*\.md\))")
COMMANDS = "<!-- commands -->"
"""Where the reference of commands stands in its page."""

COMMANDS_FROM = Path(__file__).parents[1] / "tune_jobs" / "cli"


def setup(app: Sphinx) -> None:
    """Complete the text of each page before it is read."""
    app.connect("source-read", complete)
    app.connect("autodoc-process-docstring", before_napoleon, priority=100)
    app.connect("autodoc-process-signature", signature_as_python)
    app.connect("object-description-transform", leave_members_out_of_contents)
    app.connect("missing-reference", find_public_name)


def complete(app: Sphinx, name: str, source: list[str]) -> None:
    """Let a page link to a Markdown file that is no page, which is copied, and put in what is made."""
    text = OF_THE_REPOSITORY.sub("path:", source[0])
    if COMMANDS in text:
        text = text.replace(COMMANDS, commands_as_markdown())
        for path in COMMANDS_FROM.glob("*.py"):  # so that the page is made again when a help text changes
            app.env.note_dependency(path)
    source[0] = expand_names(text)


def before_napoleon(
    app: Sphinx, kind: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Change the lines of a docstring that would be misread."""
    ready_for_sphinx(kind, thing, lines)


def signature_as_python(
    app: Sphinx,
    kind: str,
    name: str,
    thing: object,
    options: object,
    signature: str | None,
    result: str | None,
) -> tuple[str, str | None] | None:
    """Show default values as Python."""
    return None if signature is None else (readable_signature(thing, signature), result)


def leave_members_out_of_contents(app: Sphinx, domain: str, kind: str, content: desc_content) -> None:
    """List a class in the contents of its page, and not each of its members."""
    if kind in ("method", "property", "attribute"):
        for words in content.parent.findall(desc_signature):
            words["_toc_name"] = ""


def find_public_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, words: Node) -> Node | None:
    """Lead a reference to a module's name to the public name; an inner type stays a word without a link."""
    target = node.get("reftarget", "")
    public = public_name(target)
    if node.get("refdomain") != "py" or (public is None and target.rpartition(".")[2] not in inner_names()):
        return None
    if public is None:
        return words
    where = env.domains["py"].resolve_any_xref(env, node["refdoc"], app.builder, public, node, words)
    return where[0][1] if where else None
