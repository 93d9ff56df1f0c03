"""All rows of a study and all damage of its files, read before a search continues from them.

A search must not continue from half a history. So all damage is collected here, without a change, and the
writer refuses the study (`Examined.require_whole`). Damage is a line of a journal, a file, or a row that
cannot be read, and a row of a trial whose start is lost, since no history can be made without it. Foreign
files are left out and named. Called by `writer` (which holds the study's lock), by `repair`, and by `reader`
for an audit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tune_jobs.errors import ForeignSegmentError, SegmentGoneError, StoreCorruptError
from tune_jobs.store.columns.convert import parse_rows
from tune_jobs.store.columns.schema import ROW_TYPE_OF
from tune_jobs.store.files.protocol import Files
from tune_jobs.store.format.journal import JournalContent, read_batch
from tune_jobs.store.format.layout import journal_key, segment_key
from tune_jobs.store.format.listing import list_journals, list_published
from tune_jobs.store.format.repeats import each_once
from tune_jobs.store.format.segments import Segment, open_segment, read_segments, split_damaged
from tune_jobs.store.upkeep.recovery import describe_refusal
from tune_jobs.study.rows import ROW_TYPES, ReportRow, Row, StartRow, TrialRow

Held = tuple[str, int | None]
"""The table of a lost row, and the number of its trial if that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The damage of one file.

    Attributes:
        key: of the file.
        what: the damage in words, with the file's path.
        held: the lost rows, as far as they can be known.
        readable: whether other rows of the file can be read.
    """

    key: str
    what: str
    held: tuple[Held, ...] = ()
    readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """The content of a study's files.

    Attributes:
        rows: every row that can be read, in `seq` order.
        damage: of each damaged file.
        orphans: readable rows of trials whose start is lost, which makes them useless.
        left_out: foreign files and repeated rows, in words.
    """

    files: Files
    study: str
    rows: tuple[Row, ...]
    damage: tuple[Damage, ...]
    orphans: tuple[Row, ...]
    left_out: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        return not self.damage and not self.orphans

    def describe(self) -> list[str]:
        """The damage in words, one line for each file."""
        lines = [damage.what for damage in self.damage]
        if self.orphans:
            numbers = sorted({row.number for row in self.orphans if row.number is not None})
            count = len(self.orphans)
            lines.append(
                f"{count} {'row' if count == 1 else 'rows'} of trial {', '.join(map(str, numbers))} cannot be"
                " used: the row with which the trial started is lost"
            )
        return lines

    def require_whole(self) -> tuple[Row, ...]:
        """The rows, if nothing is damaged.

        Raises:
            StoreCorruptError: there is damage; the message names the files, the damage and the way out.
        """
        if not self.is_whole:
            raise StoreCorruptError(describe_refusal(self.files, self.study, self.describe()))
        return self.rows


@dataclass(slots=True)
class _Found:
    """Rows, damage and foreign files, collected while the files are read."""

    rows: dict[int, Row] = field(default_factory=dict)
    damage: list[Damage] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.rows.setdefault(row.seq, row)


def examine(files: Files, study: str) -> Examined:
    """Read every row of a study, published or not, and find all damage; changes nothing.

    If a batch still has its journal, the journal counts: some of its published files may be missing, and the
    next writer writes them anew. Rows that a damaged journal has lost count if they are published.
    """
    found = _Found()
    journals = _read_journals(files, study, found)
    for row_type in ROW_TYPES:
        _read_published(files, study, row_type.table, journals.keys(), found)
    for batch, content in journals.items():
        found.add(content.rows)
        if content.damaged:
            published = published_of(files, study, batch)
            found.add(published)
            found.damage.append(_damage_of_journal(journal_key(study, batch), content, published))
    rows = tuple(found.rows[seq] for seq in sorted(found.rows))
    return Examined(
        files=files,
        study=study,
        rows=rows,
        damage=tuple(found.damage),
        orphans=find_orphans(rows),
        left_out=tuple(dict.fromkeys(found.left_out)),
    )


def find_orphans(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Reports and ends of trials that have no start in an earlier row."""
    started: set[int] = set()
    orphans: list[Row] = []
    for row in rows:
        if isinstance(row, StartRow) or (isinstance(row, TrialRow) and not row.attempt):
            started.add(row.number)
        elif isinstance(row, ReportRow | TrialRow) and row.number not in started:
            orphans.append(row)
    return tuple(orphans)


def _read_journals(files: Files, study: str, found: _Found) -> dict[str, JournalContent]:
    listed = list_journals(files, study)
    found.left_out += listed.problems(files)
    contents = {}
    for batch in listed.names:
        content = read_batch(files, study, batch)
        if content is None:
            continue
        if content.is_foreign(study):
            found.left_out.append(content.describe_foreign())
            continue
        contents[batch] = content
    return contents


def published_of(files: Files, study: str, batch: str) -> list[Row]:
    """The readable rows in the published files of a batch, which may exist for no, some or all tables."""
    rows: list[Row] = []
    for row_type in ROW_TYPES:
        key = segment_key(row_type.table, study, batch)
        if not files.exists(key):
            continue
        try:
            segment = open_segment(files, key, row_type.table, study=study)
            rows += parse_rows(row_type, read_segments(files, row_type.table, [segment])).rows
        except SegmentGoneError:
            raise
        except StoreCorruptError:  # the journal is reported as damaged, and its other rows count
            continue
    return rows


def _damage_of_journal(key: str, content: JournalContent, published: Sequence[Row]) -> Damage:
    """The damage of a journal; rows that are published are not lost."""
    kept = {row.seq for row in content.rows}
    held = Counter(held for line in content.damaged for held in line.held)
    held -= Counter((row.table, row.number) for row in published if row.seq not in kept)
    return Damage(key=key, what=content.describe_damage(), held=tuple(held.elements()))


def _read_published(files: Files, study: str, table: str, in_journals: Iterable[str], found: _Found) -> None:
    listed = list_published(files, table, study)
    found.left_out += listed.problems(files)
    skipped = set(in_journals)
    segments = []
    for name in listed.names:
        if name not in skipped:
            segments += _open(files, study, table, name, found)
    try:
        segments, _ = each_once(files, segments, (), found.left_out)
        parsed = parse_rows(ROW_TYPE_OF[table], read_segments(files, table, segments))
    except SegmentGoneError:
        raise
    except StoreCorruptError:
        segments, _ = each_once(files, _whole(files, segments, found), (), found.left_out)
        parsed = parse_rows(ROW_TYPE_OF[table], read_segments(files, table, segments))
    if parsed.damaged:
        for segment in segments:
            _note_damaged_rows(files, segment, found)
    found.add(parsed.rows)


def _open(files: Files, study: str, table: str, name: str, found: _Found) -> list[Segment]:
    key = segment_key(table, study, name)
    try:
        segment = open_segment(files, key, table, study=study)
    except SegmentGoneError:
        raise
    except ForeignSegmentError as error:
        found.left_out.append(str(error))
        return []
    except StoreCorruptError as error:
        found.damage.append(Damage(key=key, what=str(error), readable=False))
        return []
    if segment.damaged:
        held = tuple((table, row.number) for row in segment.damaged)
        found.damage.append(Damage(key=key, what="; ".join(segment.describe_damaged()), held=held))
    found.left_out += segment.foreign
    return [segment]


def _whole(files: Files, segments: Iterable[Segment], found: _Found) -> list[Segment]:
    whole, damaged = split_damaged(files, segments)
    found.damage += [Damage(key=key, what=str(error), readable=False) for key, error in damaged.items()]
    return whole


def _note_damaged_rows(files: Files, segment: Segment, found: _Found) -> None:
    """Name the damaged rows of a sealed file, which only this program's own code can have written."""
    parsed = parse_rows(ROW_TYPE_OF[segment.table], read_segments(files, segment.table, [segment]))
    if parsed.damaged:
        what = "; ".join(row.describe(segment.path) for row in parsed.damaged[:3])
        held = tuple((segment.table, row.number) for row in parsed.damaged)
        found.damage.append(Damage(key=segment.key, what=what, held=held))
