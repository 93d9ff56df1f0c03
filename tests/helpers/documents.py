"""The documents that people read: the README and the pages of `docs/`, with their commands and blocks."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [README, *PAGES]


def page(name: str) -> str:
    """The text of a page of `docs/`."""
    return (ROOT / "docs" / f"{name}.md").read_text()


def all_text() -> str:
    """The README and every page."""
    return "\n".join(path.read_text() for path in DOCUMENTS)


def blocks(language: str, text: str) -> list[str]:
    """The fenced blocks of a language, also those inside a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return ["\n".join(line.removeprefix(indent) for line in body.splitlines()) for indent, body in found]


def shell_lines(text: str) -> list[str]:
    """The commands of a document, without their comments."""
    lines = (line.split(" # ")[0].strip() for block in blocks("sh", text) for line in block.splitlines())
    return [line for line in lines if line]
