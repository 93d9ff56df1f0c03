"""The command line's words in messages, as a caller in Python writes them: ``--store`` becomes ``store=...``.

The wings below write a message once, with the options of `run`. `tune_jobs.results.running` passes the
errors and notes of a run through here. All but `errors_in_python` is pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from eml_models.errors import EmlError
from tune_jobs.session.settings import KINDS, OF_THE_STUDY
from tune_jobs.study.field_kinds import FLAG
from tune_jobs.study.words import OF_THE_RECIPE, WORDS

CALLED = {"trial_timeout": "trial_timeout_s", "enqueue": "points"}
"""Settings of a run whose option has another name."""

CHANGED = (*WORDS, *OF_THE_RECIPE, *OF_THE_STUDY)
"""Words that `Study.with_changes` takes."""

VALUE = r"=\S+?(?=[;,.)]*(?:\s|$))| (?:\d+(?:\.\d+)?|auto|cpu|cuda)(?![\w.])"
OPTION = re.compile(
    rf"(?<![\w-])--(?P<option>[a-z]+(?:-[a-z]+)*)(?P<value>{VALUE})?(?: \((?P<python>\w+=[^()]*)\))?"
)
"""An option, its value if one stands behind it, and what some messages add for Python."""

COMMAND = re.compile(r"(`[^`]*`|\S*python\S* -m tune_jobs .*|\brun STUDY .*)")
"""A command for a shell, which stays as it is."""

PHRASES = (
    (" or --rename", ""),
    ("run the same command again", "make the same call again"),
    ("run the same command with", "make the same call with"),
    ("the same command continues it", "the same call continues it"),
)


def in_python(text: str) -> str:
    """The message with options of `run` as keywords of `run_study` and `Study.with_changes`.

    An option that is neither stays as it is, and so does a command for a shell.
    """
    for typed, spoken in PHRASES:
        text = text.replace(typed, spoken)
    parts = COMMAND.split(text)
    parts[::2] = [OPTION.sub(_keyword, part) for part in parts[::2]]
    return "".join(parts)


def _keyword(found: re.Match[str]) -> str:
    option, value = found["option"].replace("-", "_"), (found["value"] or "")[1:]
    name = CALLED.get(option, option)
    if name not in KINDS and name != "points" and name not in CHANGED:
        return found[0]
    if found["python"]:
        return found["python"]
    given = f"{name}={True if KINDS.get(name) is FLAG and not value else _literal(value)}"
    return f"study.with_changes({given})" if name in CHANGED else given


def _literal(value: str) -> str:
    if not value:
        return "..."
    return value if re.fullmatch(r"\d+(?:\.\d+)?", value) else repr(value)


@contextmanager
def errors_in_python() -> Iterator[None]:
    """Let the errors of the block speak to a caller in Python."""
    try:
        yield
    except EmlError as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (in_python(error.args[0]), *error.args[1:])
        raise
