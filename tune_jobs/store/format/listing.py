"""Lists a store's folders: the store's own files, by the patterns of `layout`, and foreign files.

The rows of a foreign file would count twice, or be of another study. So no other module lists a table's
folder. Every reader and writer names the foreign files, and neither reads nor changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tune_jobs.store.files.protocol import Files
from tune_jobs.store.format.layout import (
    DEVICE_SLUG,
    JOURNAL_SUFFIX,
    LATENCIES,
    SEGMENT_SUFFIX,
    SLUG,
    STUDIES,
    device_of_folder,
    is_batch,
    is_definition,
    is_latencies,
    is_published,
    journal_folder,
    study_of_folder,
    table_folder,
)

MAX_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The content of one folder.

    Attributes:
        names: of the store's own files without their suffix, or of its own folders; sorted.
        foreign: the full names of other files with the same suffix, or of other folders with the same
            prefix. Files with another suffix do no harm, since no reader takes them for data.
    """

    folder: str
    names: tuple[str, ...]
    foreign: tuple[str, ...]

    def problems(self, files: Files) -> list[str]:
        """The foreign files in words: one line, or no line if there are none."""
        if not self.foreign:
            return []
        named = ", ".join(repr(files.describe(f"{self.folder}/{name}")) for name in self.foreign[:MAX_NAMED])
        more = len(self.foreign) - MAX_NAMED
        said = f"{named} and {more} more have names" if more > 0 else f"{named} has a name"
        if 1 < len(self.foreign) <= MAX_NAMED:
            said = f"{named} have names"
        return [
            f"{said} that this store gives to no file of its own. Rows there do not count here, but other"
            " programs count them: move the named files or folders out of the store"
        ]


def list_published(files: Files, table: str, study: str) -> Listed:
    """The published files of a study in one table."""
    return _list_files(files, table_folder(table, study), SEGMENT_SUFFIX, is_published)


def list_definitions(files: Files, study: str) -> Listed:
    """The files that define a study."""
    return _list_files(files, table_folder(STUDIES, study), SEGMENT_SUFFIX, is_definition)


def list_journals(files: Files, study: str) -> Listed:
    """The batches of a study that have a journal, in order."""
    return _list_files(files, journal_folder(study), JOURNAL_SUFFIX, is_batch)


def list_latencies(files: Files, device: str) -> Listed:
    """The files of one device's latencies."""
    return _list_files(files, f"{LATENCIES}/{DEVICE_SLUG}{device}", SEGMENT_SUFFIX, is_latencies)


def list_studies(files: Files, table: str) -> Listed:
    """The studies that have a folder under a table."""
    return _list_folders(files, table, SLUG, study_of_folder)


def list_devices(files: Files) -> Listed:
    """The devices that have a folder of latencies."""
    return _list_folders(files, LATENCIES, DEVICE_SLUG, device_of_folder)


def own_names(names: Sequence[str], suffix: str, is_own: Callable[[str], bool]) -> list[str]:
    """The names of the store's own files, without their suffix."""
    stems = (name.removesuffix(suffix) for name in names if name.endswith(suffix))
    return [stem for stem in stems if is_own(stem)]


def _list_files(files: Files, folder: str, suffix: str, is_own: Callable[[str], bool]) -> Listed:
    names = files.list_names(folder)
    own = own_names(names, suffix, is_own)
    known = {stem + suffix for stem in own}
    foreign = [name for name in names if name.endswith(suffix) and name not in known]
    return Listed(folder=folder, names=tuple(own), foreign=tuple(foreign))


def _list_folders(files: Files, table: str, slug: str, owner_of: Callable[[str], str | None]) -> Listed:
    names = [name for name in files.list_names(table) if name.startswith(slug)]
    owners = ((name, owner_of(name)) for name in names)
    found = [(name, owner) for name, owner in owners if owner is not None]
    own = {name for name, _ in found}
    return Listed(
        folder=table,
        names=tuple(sorted(owner for _, owner in found)),
        foreign=tuple(name for name in names if name not in own),
    )
