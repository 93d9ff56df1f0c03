"""The frames of a traceback's text that lie in the user's code: not in Python, in a package or in ours.

Texts are read, because a traceback crosses from a worker to the driver as a text. A worker on another machine
may have other paths, so Python's own folders are known by their form. Called by `failure_lines` and by
`describing_failure`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import eml_models

FRAME = re.compile(r'^ *File "(?P<path>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$', re.MULTILINE)
INSTALLED = re.compile(r"[/\\](?:site-packages|dist-packages|lib[/\\]python3\.\d+t?)[/\\]", re.IGNORECASE)
TYPED = ("<stdin>", "<ipython-input")
"""Beginnings of the names of code that was typed; other names in angle brackets are of made code."""

OURS = (Path(__file__).parents[1], Path(eml_models.__file__).parent)


def user_frames(text: str, *, most: int) -> Sequence[str]:
    """The last frames of the user's code, the innermost last, such as ``/srv/me/loop.py:7 in train``."""
    found = [frame for frame in FRAME.finditer(text) if _is_of_user(frame["path"])]
    return [f"{f['path']}:{f['line']}" + (f" in {f['function']}" if f["function"] else "") for f in found][
        -most:
    ]


def has_user_frame(text: str) -> bool:
    """Whether a line of the text is a frame of the user's code."""
    return bool(user_frames(text, most=1))


def _is_of_user(path: str) -> bool:
    if path.startswith("<"):
        return path.startswith(TYPED)
    return not INSTALLED.search(path) and not any(Path(path).is_relative_to(ours) for ours in OURS)
