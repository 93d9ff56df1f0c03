"""Folders that are named by a URL: ``file:///shared/trials`` is ``/shared/trials``. Touches no disk.

A store is a folder or a bucket, and a file URL names a folder. So the URL becomes the folder's path wherever
a store enters: at the command line, in `RunSettings`, and in each function of `protocol` that takes a store.
Loads nothing heavy.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote_to_bytes

from eml_models.errors import InvalidValueError

_BEGIN = re.compile(r"(?:file|local)://|file:/", re.IGNORECASE)
"""``local://`` is fsspec's second name for the same."""
_FOLDER = re.compile(r"(?:(?:file|local)://(?:localhost)?|file:(?!//))(/.*)", re.IGNORECASE | re.DOTALL)


def as_folder(store: str) -> str:
    """The folder that a file URL names, with escapes such as ``%20`` decoded; any other text unchanged.

    Source: RFC 8089, with the host left out or ``localhost``.

    Raises:
        InvalidValueError: the URL names another host, or no folder.
    """
    if not _BEGIN.match(store):
        return store
    match = _FOLDER.fullmatch(store)
    path = os.fsdecode(unquote_to_bytes(os.fsencode(match[1]))) if match else ""
    if not path or "\0" in path:
        raise InvalidValueError(
            f"a file URL names a folder of this machine, file:///FOLDER with three slashes, got {store!r};"
            " write the folder's path"
        )
    return path
