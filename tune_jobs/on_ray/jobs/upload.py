"""Packs the files of a job's working folder, without environments, stores, data and secrets.

Ray's own packing follows every link, wherever it leads, and reports nothing. But Ray sends an archive
unchanged, so we pack one ourselves, and the job gets exactly the files that we reported. This module walks
the folder, reports and packs the files that it finds, and compares their size with Ray's limit;
`tune_jobs.on_ray.jobs.left_out` decides why a file is left out. `tune_jobs.on_ray.jobs.submit` calls this.
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
"""Names that are shown for each reason; the larger number for reasons that only the name can prove wrong."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in an archive: the same files make the same archive, which Ray sends only once."""

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that is not sent, or a folder with all its contents.

    Attributes:
        name: its path in the working folder.
        target: the target of a link; None if it is not a link.
    """

    name: str
    why: Why
    target: str | None = None

    def __str__(self) -> str:
        return f"{self.name} -> {self.target}" if self.target else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """The files of a working folder that are sent, and those that are not.

    Attributes:
        sizes: bytes of each file that is sent, by its path in the folder.
        empty: empty folders, which are sent too.
    """

    folder: Path
    sizes: dict[str, int] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def num_bytes(self) -> int:
        return sum(self.sizes.values())

    def require(self, names: Sequence[str]) -> None:
        """Refuse to send the folder without files that the job reads.

        Raises:
            InvalidValueError: one of them is not sent; gives the reason.
        """
        for name in names:
            if name in self.sizes:
                continue
            for left in self.left_out:
                if left.name in (ROOT, name) or name.startswith(left.name + os.sep):
                    raise InvalidValueError(
                        f"the job would not find {name!r}: {str(left)!r} is left out of the upload,"
                        f" {left.why}; {left.why.way_out}, or name a file that is uploaded"
                    )
            raise InvalidValueError(
                f"the job would not find {name!r}: there is no such file in {self.folder}, the working folder"
                " that is uploaded; correct the path, or give another --working-dir"
            )


def choose_files(
    folder: Path,
    *,
    named: Sequence[str | None] = (),
    secrets: Sequence[str | None] = (),
    follow: Sequence[str] = (),
) -> Upload:
    """Choose the files of a folder that are sent.

    Args:
        named: paths of data and stores; those in the folder are not sent.
        secrets: paths of secrets; those in the folder are not sent either.
        follow: links in the folder that are followed although they lead out of it.

    Raises:
        InvalidValueError: a file that would be sent cannot be read, or has a name that Ray cannot pack; or a
            path of `follow` is not a link in the folder.
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
    except (ValueError, IndexError) as error:  # Ray's, from the text of a file or from its patterns
        raise InvalidValueError(
            f"a .gitignore or .rayignore of the working folder cannot be understood: {error}. They must be"
            " UTF-8, with patterns in the form of git; correct the file"
        ) from error
    return walk.upload


def pack(upload: Upload, target: Path, *, most: int = MOST_BYTES) -> int:
    """Write the archive that is sent, and return its bytes. Stops as soon as the archive is too large.

    Args:
        target: a path in a folder that only this user may enter.
        most: the largest size in bytes that Ray takes.

    Raises:
        InvalidValueError: the archive is larger (names the largest files), or a file cannot be read.
    """
    with target.open("wb") as file:
        with ZipFile(file, "w", ZIP_DEFLATED) as archive:
            for name in sorted([*upload.sizes, *(f"{empty}/" for empty in upload.empty)]):
                _add(archive, upload.folder / name, name, lambda: _require_small(upload, file, most))
        _require_small(upload, file, most)
        return file.tell()


def describe(upload: Upload, num_packed: int) -> Iterator[str]:
    """Lines for the user: the files that are sent, and those that are left out for each reason.

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
    """Walks through a folder and notes its files in an `Upload`."""

    def __init__(self, upload: Upload, rules: Rules, roots: Sequence[Path]) -> None:
        self.upload = upload
        self._rules = rules
        self._roots = roots

    def visit(self, name: str, *, linked: bool) -> None:
        """Note a path and all paths below it.

        Args:
            linked: whether the way to the path leads through a link.
        """
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
            path.open("rb").close()  # a file that cannot be read is reported before anything is packed
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
    """The names of a path in the folder: its own, and that of its target. None if it lies elsewhere."""
    if not path or is_url(path):
        return
    for clean in (os.path.abspath, os.path.realpath):
        top, absolute = Path(clean(folder)), Path(clean(folder / path))
        if absolute != top and absolute.is_relative_to(top):
            yield str(absolute.relative_to(top))


def _root_of(real: Path, folder: Path, name: str) -> Path:
    """The target of a link that will be followed.

    Raises:
        InvalidValueError: the name is not that of a link in the folder.
    """
    link = real / os.path.relpath(os.path.abspath(folder / name), os.path.abspath(folder))
    if not (
        link.is_symlink() and link.is_relative_to(real) and os.pardir not in link.relative_to(real).parts
    ):
        raise InvalidValueError(
            f"--follow-link takes the path of a link in the working folder {str(folder)!r}, such as `shared`"
            f" or `src/shared`; {name!r} is not a link there"
        )
    return Path(os.path.realpath(link))


def _add(archive: ZipFile, path: Path, name: str, check: Callable[[], None]) -> None:
    """Add a file, or an empty folder if the name ends with a slash; calls `check` after each part."""
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
        if error.filename is None:  # the disk of the archive failed
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
        f" {_largest(tops, NUM_SHOWN)}; of the files: {_largest(upload.sizes, NUM_SHOWN)}. List files that"
        " the job does not need in .rayignore or .gitignore, name a smaller folder with --working-dir, or put"
        " data where the nodes read it (--data-dir)"
    )


def _require_utf8(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidValueError(
            f"the name of {name!r} in the working folder is not UTF-8, and Ray packs only UTF-8 names: rename"
            " it, or move it out of the folder"
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
    """The name, with Python's escapes if a terminal could not show it."""
    return name if name.isprintable() else repr(name)[1:-1]


def _size(num_bytes: int) -> str:
    if num_bytes < 1000:
        return count_of(num_bytes, "byte")
    if num_bytes < 100 << 10:
        return f"{num_bytes / (1 << 10):,.1f} KiB"
    return f"{num_bytes / (1 << 20):,.1f} MiB"
