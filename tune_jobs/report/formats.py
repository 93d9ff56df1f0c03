"""The names of the forms of data; a separate module, so that ``--help`` lists them without pandas."""

from __future__ import annotations

TABLE, JSON, CSV = "table", "json", "csv"
FORMATS = (TABLE, JSON, CSV)
"""Text for people, and two forms for programs."""

MARKDOWN, LATEX = "markdown", "latex"
REPORT_FORMATS = (*FORMATS, MARKDOWN, LATEX)
"""Those of a report, which people paste into a document."""
