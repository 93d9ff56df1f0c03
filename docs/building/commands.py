"""The reference of commands as Markdown, made from the program's own help.

Each verb has a heading, its line of usage, its help and its options, each of which is a place to link to. A
verb that takes the options of `run` as well names them and leads there. Called by `docs/conf.py`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from tune_jobs.cli import cli
from tune_jobs.cli.option_groups import GroupedCommand

Row = tuple[str, str]
"""An option with its value, and its sentence."""

PROGRAM = "tune-jobs"
LONG = "run"
"""The verb whose options others take over."""

FEW = 12
"""An option that `run` has too is described again in verbs with at most this many options."""

AS_CODE = re.compile(
    r"`[^`]+`"  # code already
    r"|(?<![\w-])--?[a-z][a-z-]*"  # an option
    r"|[\w*.,:/@=-]*(?:_|::|://|@|=|\.py|\.pt2?\b|\.npz|\.onnx)[\w*.,:/@=-]*\w"  # a path, a point, a variable
    r"|(?:\b[a-z]+:)?\b(?:STUDY|TRIAL|MODEL|NAME|STORE|FILE|FAMILY|DIR|FACTOR)\b(?:[:/.-]\w+)*"  # a place
    r"|\d[\d.]*\*\w+"  # a share of a network
)
"""What of a help text is typed or read by a program."""

EXAMPLE = re.compile(r"^Example: (.*)$", re.DOTALL)
EXTRAS = re.compile(r"  \[(?P<extras>[^\[\]]*)\]$")
"""What click adds to the sentence of an option: its default, and whether it must be given."""


def commands_as_markdown() -> str:
    """A table of all verbs, then each verb under the heading of the help."""
    parts = [_table()]
    for heading, verbs in cli.headings.items():
        parts.append(f"## {heading}")
        parts += [_verb(verb) for verb in verbs]
    return "\n\n".join(parts)


def _table() -> str:
    lines = ["| | verb | it does |", "| --- | --- | --- |"]
    for heading, verbs in cli.headings.items():
        for first, verb in zip((heading, *[""] * len(verbs)), verbs, strict=False):
            does = _first_sentence(verb)
            lines.append(f"| {first} | [`{verb.name}`](#{verb.name}) | {_prose(does)} |")
    return "\n".join(lines)


def _first_sentence(verb: click.Command) -> str:
    return " ".join(_help(verb).split("\n\n")[0].split())


def _help(verb: click.Command) -> str:
    return inspect.cleandoc(verb.help or "")


def _verb(verb: click.Command) -> str:
    context = click.Context(verb, info_name=f"{PROGRAM} {verb.name}", help_option_names=["-h", "--help"])
    usage = " ".join([context.command_path, *verb.collect_usage_pieces(context)])
    parts = [f"### {verb.name}", f"```text\n{usage}\n```", *_paragraphs(_help(verb))]
    long = _sentences(cli.commands[LONG])
    for heading, rows in _headed_options(verb, context):
        shared = [row for row in rows if _is_shared(verb, row, long)]
        own = [row for row in rows if row not in shared]
        parts.append(f"**{heading}**" if own else f"**{heading}**, as in [run](#{LONG}): {_links(shared)}.")
        parts += [_option(verb, row) for row in own]
        if own and shared:
            parts.append(f"As in [run](#{LONG}): {_links(shared)}.")
    return "\n\n".join(parts)


def _headed_options(verb: click.Command, context: click.Context) -> list[tuple[str, list[Row]]]:
    if isinstance(verb, GroupedCommand):
        headed = verb.headed_options(context)
    else:
        options = (param for param in verb.get_params(context) if isinstance(param, click.Option))
        records = [record for option in options if (record := option.get_help_record(context))]
        headed = [("Options", records)]
    without_help = [(heading, [row for row in rows if "--help" not in row[0]]) for heading, rows in headed]
    return [(heading, rows) for heading, rows in without_help if rows]


def _sentences(verb: click.Command) -> set[Row]:
    return {row for _, rows in _headed_options(verb, click.Context(verb)) for row in rows}


def _is_shared(verb: click.Command, row: Row, long: set[Row]) -> bool:
    return verb.name != LONG and len(verb.params) > FEW and row in long


def _links(rows: list[Row]) -> str:
    return ", ".join(f"[`{_name(words)}`](#{LONG}-{_name(words)[2:]})" for words, _ in rows)


def _name(words: str) -> str:
    (name, *_) = re.findall(r"--[a-z-]+", words)
    return str(name)


def _option(verb: click.Command, row: Row) -> str:
    """An option as a definition, whose words are a place to link to."""
    words, sentence = row
    extras = EXTRAS.search(sentence)
    prose = [_prose(EXTRAS.sub("", sentence)), *(_extra(extra) for extra in _extras(extras))]
    return f"`{words}`{{#{verb.name}-{_name(words)[2:]}}}\n: {' '.join(prose)}"


def _extras(found: re.Match[str] | None) -> list[str]:
    return found["extras"].split("; ") if found else []


def _extra(text: str) -> str:
    """What click adds, as a sentence."""
    name, _, value = text.partition(": ")
    if name == "default":
        return f"Default: `{value}`."
    least = re.fullmatch(r"x>=(.+)", text)
    return f"At least {least[1]}." if least else f"{text.capitalize()}."


def _paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a help; an example is a block, and what stands after a backspace keeps its lines."""
    for paragraph in text.split("\n\n"):
        if example := EXAMPLE.match(paragraph):
            yield f"```sh\n{' '.join(example[1].split())}\n```"
        elif paragraph.lstrip().startswith("\b"):
            yield from _listing(paragraph.replace("\b\n", ""))
        else:
            yield _prose(" ".join(paragraph.split()))


def _listing(text: str) -> Iterator[str]:
    """A heading and names with commas between them."""
    heading, *lines = text.strip().splitlines()
    names = [name.strip() for name in ",".join(lines).split(",")]
    yield f"{heading} {', '.join(f'`{name}`' for name in names if name)}."


def _prose(text: str) -> str:
    """A help text as Markdown: what is typed as code, the rest without marks that would be read."""
    parts = []
    end = 0
    for found in AS_CODE.finditer(text):
        parts += [_escaped(text[end : found.start()]), f"`{found[0].strip('`')}`"]
        end = found.end()
    return "".join([*parts, _escaped(text[end:])])


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_<>\[\]|])", r"\\\1", text)
