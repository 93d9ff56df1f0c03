"""A bucket that is not always there: in memory, with errors that are no `OSError`, as botocore's are."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

SCHEME = "moody"
REQUESTS = ("ls", "info", "cp_file", "cat_file", "pipe_file", "get_file", "put_file", "rm", "rm_file")


class NotThereError(Exception):
    """What the client of a bucket raises that does not answer."""


class MoodyFileSystem(MemoryFileSystem):
    """In memory; while `is_away`, each request fails."""

    protocol = SCHEME
    is_away = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix(f"{SCHEME}://")))

    def __getattribute__(self, name: str) -> Any:
        if name in REQUESTS and MoodyFileSystem.is_away:
            raise NotThereError("could not connect to the endpoint")
        return super().__getattribute__(name)


def moody_url() -> str:
    """The URL of a new store in such a bucket."""
    fsspec.register_implementation(SCHEME, MoodyFileSystem, clobber=True)
    return f"{SCHEME}://bucket/{secrets.token_hex(4)}"


@contextmanager
def bucket_away() -> Iterator[None]:
    """While this holds, no bucket answers."""
    MoodyFileSystem.is_away = True
    try:
        yield
    finally:
        MoodyFileSystem.is_away = False
