"""Checks in each worker's process that the worker sees the driver's store and may write to it.

The same path on two machines need not be the same folder, and training that cannot save would be lost. So the
driver leaves a file with a secret number in the store. A worker reads that file, and writes and removes a
file of its own. Both lie in the study's scratch folder, so the next driver removes the files of a killed
driver. Knows no Ray and loads no Parquet. `tune_jobs.on_ray.tuning` leaves the file, and
`tune_jobs.on_ray.worker.trainable` checks it.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tune_jobs.errors import StoreError
from tune_jobs.store.files.bucket_blobs import bucket_place
from tune_jobs.store.files.protocol import is_url
from tune_jobs.store.format.layout import scratch_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreProbe:
    """A file in the store by which workers recognise the store.

    Attributes:
        store: the store's absolute folder or URL.
        study: the study's name.
        nonce: the file's text, a secret number.
    """

    store: str
    study: str
    nonce: str

    @classmethod
    def leave(cls, store: str, study: str) -> StoreProbe:
        """Write the file; called by the driver, which holds the study's lock.

        Raises:
            StoreError: the file could not be written.
        """
        probe = cls(store=store, study=study, nonce=secrets.token_hex(16))
        try:
            probe._write("driver")
        except OSError as error:
            raise StoreError(f"cannot write to the store {store!r}: {error}") from error
        return probe

    def check(self) -> None:
        """Read the driver's file, and write and remove one more; called by a worker.

        Raises:
            StoreError: this machine does not see the driver's store, or may not write to it.
        """
        host = socket.gethostname()
        try:
            seen = self._read("driver")
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(
                f"node {host} does not see the driver's store {self.store!r} ({error}): a store must be a"
                " folder that every node mounts at the same path, or a bucket"
            ) from error
        if seen != self.nonce:
            raise StoreError(
                f"node {host} sees another store at {self.store!r} than the driver does: a store must be a"
                " folder that every node mounts at the same path, or a bucket"
            )
        own = f"worker-{host}-{os.getpid()}"
        try:
            self._write(own)
        except OSError as error:
            raise StoreError(
                f"node {host} sees the store {self.store!r} and may not write to it: {error}. Trials save"
                " their checkpoints there; run all nodes as the same user, or give that node's user the right"
            ) from error
        self._remove(own)

    def remove(self) -> None:
        """Remove the driver's file, or leave that to the next driver; called by the driver at the end."""
        self._remove("driver")

    def _key(self, name: str) -> str:
        return f"{scratch_folder(self.study)}/probe-{self.nonce}-{name}"

    def _read(self, name: str) -> str:
        if self._in_bucket:
            return bucket_place(self.store).read_bytes(self._key(name)).decode()
        return (Path(self.store) / self._key(name)).read_text()

    def _write(self, name: str) -> None:
        if self._in_bucket:
            bucket_place(self.store).write_bytes(self._key(name), self.nonce.encode())
        else:
            path = Path(self.store) / self._key(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.nonce)

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            if self._in_bucket:
                bucket_place(self.store).remove_object(self._key(name))
            else:
                (Path(self.store) / self._key(name)).unlink()

    @property
    def _in_bucket(self) -> bool:
        return is_url(self.store)
