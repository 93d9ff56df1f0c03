"""What other users of a machine reach of some processes: ports that listen, files that are open to write."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LISTENING = "0A"
"""The state of a socket in /proc/net/tcp."""


class Listener(NamedTuple):
    """A port that a process listens on, and at which address."""

    pid: int
    address: str
    port: int

    @property
    def on_loopback(self) -> bool:
        return ipaddress.ip_address(self.address).is_loopback


def listeners(pids: Iterable[int]) -> set[Listener]:
    """Of these processes, by /proc, at addresses of both kinds. Processes that end are left out."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            sockets = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
            for name in ("tcp", "tcp6"):
                for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                    words = line.split()
                    if words[3] == LISTENING and f"socket:[{words[9]}]" in sockets:
                        address, port = words[1].split(":")
                        found.add(Listener(pid, _address(address), int(port, 16)))
    return found


def _address(digits: str) -> str:
    """Each 32 bits are in the order of a little-endian machine."""
    raw = bytes.fromhex(digits)
    words = [raw[at : at + 4][::-1] for at in range(0, len(raw), 4)]
    found = ipaddress.ip_address(b"".join(words))
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def files_to_write(pids: Iterable[int]) -> set[Path]:
    """Regular files that these processes have open to write and that still have a name."""
    found = set()
    for pid in pids:
        for link in _entries(Path(f"/proc/{pid}/fd")):
            with suppress(OSError, ValueError):
                info = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text()
                flags = int(info.partition("flags:")[2].split()[0], 8)
                path = Path(os.readlink(link))
                if flags & (os.O_WRONLY | os.O_RDWR) and stat.S_ISREG(path.stat().st_mode):
                    found.add(path)
    return found


def _entries(folder: Path) -> list[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def is_private(path: Path) -> bool:
    """Whether a folder above it lets nobody in but this user, and no folder above that may be exchanged."""
    for folder in path.parents:
        found = folder.lstat()
        if found.st_uid == os.geteuid() and not found.st_mode & 0o077:
            above = [outer.lstat() for outer in folder.parents]
            return all(not outer.st_mode & 0o022 or outer.st_mode & stat.S_ISVTX for outer in above)
    return False
