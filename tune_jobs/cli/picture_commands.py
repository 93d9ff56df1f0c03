"""Acts for the verb report that write files: the page of a study, and its figures as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eml_models.errors import InvalidValueError
from eml_models.whole_files import write_whole
from eml_models.wording import count_of
from tune_jobs.cli.telling import tell_note
from tune_jobs.errors import TuneJobsError, UndrawableError
from tune_jobs.inputs.user_code import stored_name
from tune_jobs.report.documents import report_document
from tune_jobs.report.figures.catalog import iter_figures
from tune_jobs.report.figures.figure import Figure
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.formats import LATEX, MARKDOWN, TABLE
from tune_jobs.report.page.whole import study_page
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.results.trial_store import TrialStore

TABLE_FILES = {MARKDOWN: ".md", LATEX: ".tex"}
"""The endings of the files of tables, by form."""


def write_pictures(store: str, name: str, *, page: str | None, folder: str | None) -> None:
    """Write the page of a study to a file; and its figures and its tables, as files, into a folder.

    Raises:
        UnknownNameError: there is no such study.
        InvalidValueError: the page or the folder cannot be where it is asked for.
        TuneJobsError: the extra `figures` is not installed, or a file cannot be written.
    """
    opened = TrialStore(store)
    found = opened.results(stored_name(name))
    seen, tables = found.seen, report_document(found.known, TABLE) if len(found.known.trials) else []
    try:
        _require_places(page, folder)
        if page is not None:
            _write_page(seen, tables, Path(page))
        if folder is not None:
            _write_folder(seen, Path(folder))
            _write_tables(tables, Path(folder))
    except OSError as error:
        raise TuneJobsError(f"the pictures cannot be written: {error}") from error


def _require_places(page: str | None, folder: str | None) -> None:
    """Refuse places that cannot be, before anything is written."""
    if page is not None and (Path(page).is_dir() or not Path(page).parent.is_dir()):
        what = "a folder" if Path(page).is_dir() else "in a folder that does not exist"
        raise InvalidValueError(f"--html names the file of the page, got {page!r}, which is {what}")
    if folder == "":
        raise InvalidValueError("--pictures names a folder, got an empty text; write . for this folder")
    if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
        raise InvalidValueError(f"--pictures names a folder, got the file {folder!r}")


def _write_page(seen: Seen, tables: Sequence[Table], target: Path) -> None:
    text = study_page(seen, tables)
    write_whole(target, text.encode())
    tell_note(f"wrote {target} ({len(text) / 1e6:.1f} MB); it opens in any browser and loads nothing")


def _write_folder(seen: Seen, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for figure in iter_figures(seen):
        if not isinstance(figure, Figure):
            continue
        try:
            figure.save(folder / f"{figure.name}.svg")
            figure.save(folder / f"{figure.name}.png")
            written += 1
        except UndrawableError as error:
            tell_note(f"{figure.name}: {error}")
    tell_note(f"wrote {count_of(written, 'figure')} to {folder}, each as .svg and .png")


def _write_tables(tables: Sequence[Table], folder: Path) -> None:
    """Write the tables of the report, all of a form in one file."""
    for form, ending in TABLE_FILES.items():
        text = "\n".join(render(table, form) for table in tables)
        write_whole(folder / f"tables{ending}", text.encode())
    names = " and ".join(f"tables{ending}" for ending in TABLE_FILES.values())
    tell_note(f"wrote {count_of(len(tables), 'table')} to {folder}, in {names}")
