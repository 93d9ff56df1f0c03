"""The part of the page of a store: its studies, each with a link to its page.

Pure: a text from the answer of a query. Called by `sources`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from tune_jobs.report.board.addresses import study_path
from tune_jobs.report.board.study_parts import as_sentence, section
from tune_jobs.report.documents import store_document, store_notes
from tune_jobs.report.formats import TABLE
from tune_jobs.report.page.markup import escaped, table_html
from tune_jobs.store.files.holders import Hold

STUDIES = "studies"
HEADLINES: Mapping[str, str] = {STUDIES: "Studies"}


def studies_part(found: pd.DataFrame, holds: Mapping[str, Hold | None], problems: Sequence[str] = ()) -> str:
    """The table of `list`, and its notes.

    Args:
        found: the answer of a store to `leaderboard.STUDIES_SQL`.
        holds: the locks of the studies.
        problems: damaged and foreign files that were left out, in words.
    """
    table = replace(store_document(found, holds, TABLE), title="studies of the store")
    lines = [*store_notes(found, holds), *map(as_sentence, problems)]
    notes = "".join(f"<p>{escaped(line, 2000)}</p>" for line in lines)
    return section(STUDIES, table_html(table, {"study": study_path("")[:-1]}) + notes, title="Studies")
