"""Readings of a store one after the other: what was damaged or out of reach, and is not any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from board_testing import write_drawn

from tune_jobs.errors import StoreCorruptError
from tune_jobs.report.board.sources import StudiesSource, StudySource
from tune_jobs.report.board.store_parts import STUDIES
from tune_jobs.report.board.study_parts import NOW
from tune_jobs.store.reading import snapshot

SOURCES = {
    NOW: lambda store: StudySource(store, "drawn"),
    STUDIES: StudiesSource,
}


def file_of(store: Path) -> Path:
    """The file that has the ends of the trials."""
    return next(path for path in (store / "trials").rglob("*.parquet") if "no-rows" not in path.name)


def damage_end(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30] + bytes(30))


def damage_page(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:200] + b"\xff" * 300 + data[500:])


@pytest.mark.parametrize("damage", [damage_end, damage_page])
@pytest.mark.parametrize("part", SOURCES)
def test_damage_is_named_until_it_is_mended(part: str, damage: Any, tmp_path: Path) -> None:
    write_drawn(tmp_path, 3)
    file, source = file_of(tmp_path), SOURCES[part](str(tmp_path))
    whole = file.read_bytes()
    damage(file)
    first = source.read(source.stamp(), None)
    again = source.read(source.stamp(), first)
    for moment in (first, again):
        assert file.name in "".join(moment.problems)
        assert file.name in moment.part(part).text
    file.write_bytes(whole)
    mended = source.read(source.stamp(), again)
    assert not mended.problems
    assert file.name not in mended.part(part).text


def test_rows_that_could_not_be_read_for_a_moment_are_not_missing_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_drawn(tmp_path, 3)
    source = StudySource(str(tmp_path), "drawn")

    def full(*args: Any, **options: Any) -> Any:
        raise StoreCorruptError("a file cannot be read: too many open files")

    with monkeypatch.context() as short:
        short.setattr(snapshot, "open_segment", full)
        first = source.read(source.stamp(), None)
    empty = first.part("ended").text
    second = source.read(source.stamp(), first)
    assert "3 trials have ended" in second.status
    assert second.part("ended").text != empty
