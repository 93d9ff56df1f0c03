"""A query as a person hands it in: its text, `-` for stdin, or `@FILE`.

Called by `tune_jobs.cli.store_verbs`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from eml_models.errors import InvalidValueError
from tune_jobs.inputs.near_files import nearest_file

STDIN, AT = "-", "@"


def read_sql(word: str) -> str:
    """The text of the query that `word` names.

    Raises:
        InvalidValueError: the file cannot be read, or there is no text.
    """
    if word == STDIN:
        text, source = _read_stdin(), "stdin"
    elif word.startswith(AT):
        text, source = _read_file(word.removeprefix(AT)), word
    else:
        text, source = word, "the argument"
    if not text.strip():
        raise InvalidValueError(
            f"a query must be SQL, got no text from {source}; write it between quotes, as - with a query on"
            " stdin, or as @FILE"
        )
    return text


def _read_stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InvalidValueError(
            f"a query must be text in UTF-8, got other bytes on stdin: {error}"
        ) from error


def _read_file(name: str) -> str:
    try:
        return Path(name).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, ValueError, RuntimeError) as error:  # also a zero byte, or ~ of an unknown user
        raise InvalidValueError(
            f"cannot read {name!r}: {error}; after @ comes the path of a file with a query"
            f"{nearest_file(name)}"
        ) from error
