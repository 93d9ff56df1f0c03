"""The help of the whole program: its verbs under headings, in the order in which a user meets them.

Called by `main`, which has the headings; the page of commands in `docs/` has the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
from click.formatting import HelpFormatter

from tune_jobs.cli.given_once import Verbs


class GroupedVerbs(Verbs):
    """A group whose help has its verbs under headings."""

    def __init__(self, *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        self.headings: dict[str, list[click.Command]] = {}

    def add_verbs(self, heading: str, verbs: Iterable[click.Command]) -> None:
        """Add verbs under a heading, which may have some already."""
        for verb in verbs:
            self.add_command(verb)
            self.headings.setdefault(heading, []).append(verb)

    def format_commands(self, ctx: click.Context, formatter: HelpFormatter) -> None:
        """Write each heading with its verbs, all sentences in one column."""
        width = max(len(verb.name or "") for verbs in self.headings.values() for verb in verbs)
        for heading, verbs in self.headings.items():
            limit = formatter.width - width - 4  # two spaces before the verb, two before its sentence
            rows = [((verb.name or "").ljust(width), verb.get_short_help_str(limit)) for verb in verbs]
            with formatter.section(heading):
                formatter.write_dl(rows)
