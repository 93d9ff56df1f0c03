"""What a job takes with it: the files of its working folder, without environments, stores, data and secrets.

We pack them ourselves. Ray's own packing follows every link, wherever it leads, and tells of nothing; of an
archive it sends the bytes as they are, so what is told here is what is sent. Why a file is left out is said
in `left_out`; here the folder is walked, what is found is told, packed, and measured against Ray's limit.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from eml_models.errors import InvalidValueError
from eml_models.wording import count_of
from tune_jobs.on_ray.jobs.left_out import ROOT, Rules, Why, leads_back, names_on_the_way
from tune_jobs.on_ray.jobs.secret_names import is_secret
from tune_jobs.on_ray.private import most_package_bytes
from tune_jobs.store.files.protocol import is_url

MOST_BYTES = most_package_bytes()

NUM_SHOWN, NUM_NAMED = 5, 20
"""Names that are told of one reason; more where nothing but the name shows whether it is right."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in an archive: the same files make the same archive, which is sent once."""

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that is not sent, or a folder with all that is in it.

    Attributes:
        name: its path in the working folder.
        target: where it leads, if it is a link.
    """

    name: str
    why: Why
    target: str | None = None

    def __str__(self) -> str:
        return f"{self.name} -> {self.target}" if self.target else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What is sent of a working folder, and what is not.

    Attributes:
        sizes: bytes of each file, by its path in the folder.
        empty: folders with nothing in them.
    """

    folder: Path
    sizes: dict[str, int] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def num_bytes(self) -> int:
        return sum(self.sizes.values())

    def require(self, names: Sequence[str]) -> None:
        """Refuse to send without files that the job reads.

        Raises:
            InvalidValueError: one of them is not sent; says why.
        """
        for name in names:
            if name in self.sizes:
                continue
            for left in self.left_out:
                if left.name in (ROOT, name) or name.startswith(left.name + os.sep):
                    raise InvalidValueError(
                        f"the job would not find {name!r}: {str(left)!r} is left out of the upload,"
                        f" {left.why}; {left.why.way_out}"
                    )
            raise InvalidValueError(
                f"the job would not find {name!r}: there is no such file in {self.folder}"
            )


def choose_files(
    folder: Path,
    *,
    named: Sequence[str | None] = (),
    secrets: Sequence[str | None] = (),
    follow: Sequence[str] = (),
) -> Upload:
    """What of a folder is sent.

    Args:
        named: paths of data and stores; those that lie in the folder are not sent.
        secrets: paths of secrets, likewise.
        follow: links in the folder that are followed although they lead out of it.

    Raises:
        InvalidValueError: a part of the folder that would be sent cannot be read, or has a name that Ray
            cannot pack; or what should be followed is no link of it.
    """
    real = Path(os.path.realpath(folder))
    places = {name: Why.NAMED for path in named for name in _names_in(folder, path)}
    places |= {name: Why.SECRET for path in secrets for name in _names_in(folder, path)}
    roots = (real, *(_root_of(real, folder, name) for name in follow))
    walk = _Walk(Upload(folder=real), Rules(real, places), roots)
    try:
        walk.visit(ROOT, linked=False)
    except InvalidValueError:
        raise
    except OSError as error:
        raise _unreadable(error) from error
    except (ValueError, IndexError) as error:  # of reading them, and of their patterns
        raise InvalidValueError(
            f"a .gitignore or .rayignore of the working folder cannot be understood: {error}. They are read"
            " as UTF-8, with patterns as git takes them"
        ) from error
    return walk.upload


def pack(upload: Upload, target: Path, *, most: int = MOST_BYTES) -> int:
    """Write the archive that is sent; its bytes. Stops as soon as it is too large.

    Args:
        target: a path in a folder of this user alone.
        most: the largest size in bytes that is taken.

    Raises:
        InvalidValueError: it is more than Ray takes (names what is large), or a file cannot be read.
    """
    with target.open("wb") as file:
        with ZipFile(file, "w", ZIP_DEFLATED) as archive:
            for name in sorted([*upload.sizes, *(f"{empty}/" for empty in upload.empty)]):
                _add(archive, upload.folder / name, name, lambda: _require_small(upload, file, most))
        _require_small(upload, file, most)
        return file.tell()


def describe(upload: Upload, num_packed: int) -> Iterator[str]:
    """Lines for a person: what is sent, and what is left out for which reason.

    Args:
        num_packed: bytes of the archive.
    """
    files = count_of(len(upload.sizes), "file")
    line = f"uploading {files} ({_size(upload.num_bytes)}, packed {_size(num_packed)}) of {upload.folder}"
    if upload.sizes:
        line += f"; the largest is {_largest(upload.sizes, 1)}"
    yield line
    for why in Why:
        if left := [str(one) for one in upload.left_out if one.why is why]:
            shown = NUM_NAMED if why in (Why.SECRET, Why.OUTSIDE) else NUM_SHOWN
            more = f" and {len(left) - shown:,} more" if len(left) > shown else ""
            yield f"  left out {why}: {', '.join(map(_printable, left[:shown]))}{more}"


class _Walk:
    """Goes through a folder and notes in an `Upload` what it finds."""

    def __init__(self, upload: Upload, rules: Rules, roots: Sequence[Path]) -> None:
        self.upload = upload
        self._rules = rules
        self._roots = roots

    def visit(self, name: str, *, linked: bool) -> None:
        """Look at a path and at all that is below it; `linked` if a link is on the way to it."""
        path = self.upload.folder / name
        is_link = name != ROOT and path.is_symlink()
        linked = linked or is_link
        if why := self._why(name, path, linked=linked, is_link=is_link):
            target = os.readlink(path) if is_link else None
            self.upload.left_out.append(LeftOut(name=name, why=why, target=target))
            return
        _require_utf8(name)
        if path.is_dir():
            inside = sorted(os.listdir(path))
            for child in inside:
                self.visit(child if name == ROOT else os.path.join(name, child), linked=linked)
            if not inside and name != ROOT:
                self.upload.empty.append(name)
        elif path.is_file():
            path.open("rb").close()  # what is closed to us is told before anything is packed
            self.upload.sizes[name] = path.stat().st_size

    def _why(self, name: str, path: Path, *, linked: bool, is_link: bool) -> Why | None:
        ways = names_on_the_way(path) if linked else []
        inside = [str(way.relative_to(self._top)) for way in ways if way.is_relative_to(self._top)]
        if any(self._is_secret(way) for way in [path, *ways]):
            return Why.SECRET
        if is_link:
            real = Path(os.path.realpath(path))
            if not any(real.is_relative_to(root) for root in self._roots):
                return Why.OUTSIDE
            if not path.exists():
                return Why.NOWHERE
            if leads_back(path, self._top):
                return Why.CIRCLE
        return next((why for one in [name, *inside] if (why := self._rules.why(one))), None)

    def _is_secret(self, path: Path) -> bool:
        shown = path.relative_to(self._top) if path.is_relative_to(self._top) else path
        return is_secret(shown.as_posix(), is_folder=os.path.isdir(path))

    @property
    def _top(self) -> Path:
        return self.upload.folder


def _names_in(folder: Path, path: str | None) -> Iterator[str]:
    """What a path is called in the folder, by its name and by where it leads; none if it lies elsewhere."""
    if not path or is_url(path):
        return
    for clean in (os.path.abspath, os.path.realpath):
        top, absolute = Path(clean(folder)), Path(clean(folder / path))
        if absolute != top and absolute.is_relative_to(top):
            yield str(absolute.relative_to(top))


def _root_of(real: Path, folder: Path, name: str) -> Path:
    """Where a link leads that is to be followed."""
    link = real / os.path.relpath(os.path.abspath(folder / name), os.path.abspath(folder))
    if not (
        link.is_symlink() and link.is_relative_to(real) and os.pardir not in link.relative_to(real).parts
    ):
        raise InvalidValueError(
            f"--follow-link takes the path of a link in the working folder {str(folder)!r}, such as `shared`"
            f" or `src/shared`; {name!r} is none"
        )
    return Path(os.path.realpath(link))


def _add(archive: ZipFile, path: Path, name: str, check: Callable[[], None]) -> None:
    """One file, or one empty folder, whose name then ends with a slash; looks at the size after each part."""
    info = ZipInfo(name, EPOCH)
    info.compress_type = ZIP_DEFLATED
    try:
        status = path.stat()
        info.external_attr = (stat.S_IFMT(status.st_mode) | stat.S_IMODE(status.st_mode) & 0o777) << 16
        if info.is_dir():
            archive.writestr(info, b"")
            return
        info.file_size = status.st_size
        with path.open("rb") as source, archive.open(info, "w") as packed:
            while part := source.read(CHUNK):
                packed.write(part)
                check()
    except OSError as error:
        if error.filename is None:  # of the archive's own disk
            raise
        raise _unreadable(error) from error


def _require_small(upload: Upload, file: IO[bytes], most: int) -> None:
    if file.tell() <= most:
        return
    tops: Counter[str] = Counter()
    for name, size in upload.sizes.items():
        top, slash, _ = name.partition(os.sep)
        tops[top + slash] += size
    raise InvalidValueError(
        f"the working folder {upload.folder} has {count_of(len(upload.sizes), 'file')} of"
        f" {_size(upload.num_bytes)} to upload, packed more than the {_size(most)} that Ray takes. Largest:"
        f" {_largest(tops, NUM_SHOWN)}; of the files: {_largest(upload.sizes, NUM_SHOWN)}. List what the job"
        " does not need in .rayignore or .gitignore, name a smaller folder with --working-dir, or put data"
        " where the nodes read it (--data-dir)"
    )


def _require_utf8(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidValueError(
            f"the name of {name!r} in the working folder is no UTF-8, and Ray packs no other: rename it, or"
            " move it out of the folder"
        ) from error


def _unreadable(error: OSError) -> InvalidValueError:
    return InvalidValueError(
        f"{str(error.filename)!r} of the working folder cannot be read: {error.strerror}. Make it readable,"
        " list it in .rayignore, or submit again once nothing changes it"
    )


def _largest(sizes: dict[str, int], count: int) -> str:
    largest = Counter(sizes).most_common(count)
    return ", ".join(f"{_printable(name)} ({_size(num_bytes)})" for name, num_bytes in largest)


def _printable(name: str) -> str:
    """A name as it is, or as Python writes it if a terminal would not show it."""
    return name if name.isprintable() else repr(name)[1:-1]


def _size(num_bytes: int) -> str:
    if num_bytes < 1000:
        return count_of(num_bytes, "byte")
    if num_bytes < 100 << 10:
        return f"{num_bytes / (1 << 10):,.1f} KiB"
    return f"{num_bytes / (1 << 20):,.1f} MiB"
