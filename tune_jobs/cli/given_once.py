"""The group of verbs: refuses an option that is given twice but has one value, for every verb at once.

click itself keeps the last value without a word, so that a second data set, file or limit would silently
replace the first. An option with several values says "repeatable" in its help.
"""

from __future__ import annotations

from collections import Counter

import click


class Verbs(click.Group):
    """A group whose verbs take each option once, unless the option is repeatable."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not ctx.resilient_parsing:  # as when a shell completes half a line
            _require_once(click.Context(command, info_name=name, parent=ctx), command, rest)
        return name, command, rest


def _require_once(context: click.Context, command: click.Command, words: list[str]) -> None:
    """Refuse words that give an option with a single value more than once.

    Raises:
        click.UsageError: names the option.
    """
    _, _, given = command.make_parser(context).parse_args(list(words))
    for parameter, count in Counter(given).items():
        if isinstance(parameter, click.Option) and count > 1 and not _is_repeatable(parameter):
            raise click.UsageError(
                f"{parameter.opts[0]} is given {count} times and has one value; give it once", context
            )


def _is_repeatable(option: click.Option) -> bool:
    """Whether a second time adds something, or at least takes nothing away, as with a flag."""
    return option.multiple or option.count or option.is_flag
