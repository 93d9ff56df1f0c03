"""Whether a worker sees the driver's store and may write to it: asked in each worker's process at its start.

A path that exists on two machines need not be the same folder, and training that cannot save would be lost.
So the driver leaves a file with a number that nobody can guess, and a worker reads it, and writes one of
its own and removes it. Knows no Ray and loads no Parquet.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tune_jobs.checkpoints import bucket_place
from tune_jobs.errors import StoreError

FOLDER = "_tmp"
"""Of the store: no reader looks there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreProbe:
    """A file in the store by which workers know it.

    Attributes:
        store: the store's absolute folder or URL.
        nonce: what the file holds.
    """

    store: str
    nonce: str

    @classmethod
    def leave(cls, store: str) -> StoreProbe:
        """Write the file; called by the driver.

        Raises:
            StoreError: it could not be written.
        """
        probe = cls(store=store, nonce=secrets.token_hex(16))
        try:
            probe._write(probe._path("driver"))
        except Exception as error:  # a bucket's client raises errors of its own
            raise StoreError(f"cannot write to the store {store!r}: {error}") from error
        return probe

    def check(self) -> None:
        """Look for the file and write one; called by a worker.

        Raises:
            StoreError: this machine does not see the driver's store, or may not write to it.
        """
        host = socket.gethostname()
        try:
            seen = self._read(self._path("driver"))
        except Exception as error:  # a bucket's client raises errors of its own
            raise StoreError(
                f"node {host} does not see the driver's store {self.store!r} ({error}): a store must be a"
                " folder that every node mounts at the same path, or a bucket"
            ) from error
        if seen != self.nonce:
            raise StoreError(f"node {host} sees another store at {self.store!r} than the driver does")
        own = self._path(f"worker-{host}-{os.getpid()}")
        try:
            self._write(own)
        except Exception as error:  # a bucket's client raises errors of its own
            raise StoreError(
                f"node {host} sees the store {self.store!r} and may not write to it: {error}. Trials save"
                " their checkpoints there; run all nodes as one user, or give them the right"
            ) from error
        self._remove(own)

    def remove(self) -> None:
        """Remove the driver's file; called by the driver at the end."""
        self._remove(self._path("driver"))

    def _path(self, name: str) -> str:
        root = bucket_place(self.store).root if self._in_bucket else self.store
        return f"{root}/{FOLDER}/probe-{self.nonce}-{name}"

    def _read(self, path: str) -> str:
        if self._in_bucket:
            return bytes(bucket_place(self.store).fs.cat_file(path)).decode()
        return Path(path).read_text()

    def _write(self, path: str) -> None:
        if self._in_bucket:
            bucket_place(self.store).fs.pipe_file(path, self.nonce.encode())
        else:
            Path(path).parent.mkdir(exist_ok=True)
            Path(path).write_text(self.nonce)

    def _remove(self, path: str) -> None:
        with suppress(OSError):
            if self._in_bucket:
                bucket_place(self.store).fs.rm_file(path)
            else:
                os.unlink(path)

    @property
    def _in_bucket(self) -> bool:
        return "://" in self.store
