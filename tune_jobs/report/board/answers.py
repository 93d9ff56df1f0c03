"""Texts as answers of a web server: tagged, compressed where that helps, empty if the browser has them."""

from __future__ import annotations

import json

from aiohttp import web

HTML, TEXT, JSON, CSS, SCRIPT = (
    "text/html",
    "text/plain",
    "application/json",
    "text/css",
    "text/javascript",
)
COMPRESSED = 2_000
"""Bytes from which an answer is compressed."""

LONG = 100_000
"""Bytes from which a thread compresses it, so that other answers do not wait."""


def answer(
    request: web.Request, text: str | bytes, kind: str = HTML, *, tag: str = "", status: int = 200
) -> web.Response:
    """The answer with a text, or that the browser has it already.

    Args:
        tag: of the text; empty for a text that is not asked for again.
    """
    if tag and any(held.value in (tag, "*") for held in request.if_none_match or ()):
        response = web.Response(status=304)
    else:
        body = text.encode(errors="replace") if isinstance(text, str) else text
        response = web.Response(
            body=body, content_type=kind, charset="utf-8", status=status, zlib_executor_size=LONG
        )
        if len(body) >= COMPRESSED:
            response.enable_compression()
    if tag:
        response.etag = tag
    return response


def as_json(value: object) -> str:
    """A value as JSON."""
    return json.dumps(value, allow_nan=False)
