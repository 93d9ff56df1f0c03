"""The forms in which data is written; a module of its own, so that ``--help`` names them without pandas."""

from __future__ import annotations

TABLE, JSON, CSV = "table", "json", "csv"
FORMATS = (TABLE, JSON, CSV)
"""Text for people, and two for programs."""
