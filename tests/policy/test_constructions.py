"""No docstring, comment, text of a program or document has a construction that people must read twice.

The list holds constructions that a program can find with few false alarms. It does not judge a sentence; read
it aloud for that. Names are left out: all code, text between backticks, and the braces of f-strings.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("eml_models", "tune_jobs", "benchmarks", "examples")
CODE = "\0"
"""Stands for a character of code: no construction reaches across it."""

NAME = "_"
"""Stands for a character of a name in a sentence: a word, and none of the list."""

COUNTED = (
    "attempt|batch|call|candidate|cell|class|column|epoch|factor|file|image|layer|level|line|network|node|"
    "object|operator|parameter|process|report|round|row|run|stage|step|store|stream|study|table|trial|variant|worker"
)
NO_NOUN = (
    "about|above|after|against|among|and|are|as|at|be|before|below|beside|between|but|by|during|for|from|gets|"
    "gives|had|has|holds|if|in|into|is|it|like|makes|names|needs|not|of|on|or|over|per|since|starts|such|takes|"
    "than|that|through|to|under|until|was|when|where|whose|with|within|without"
)
ADJECTIVES = "Arrow|JSON|Parquet|constant|few|living|new|single|whole"
UNITS = "GB|KB|MB|bytes|microseconds|milliseconds|minutes|ms|px|s|seconds"
NO_PREPOSITION = "".join(
    rf"(?<!\b{word}\s)" for word in ("at", "by", "for", "from", "in", "of", "on", "to", "with")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Construction:
    """Words to avoid.

    pattern: their regular expression; a space in it stands for any white space, a line's end included.
    better: what to write in their place.
    """

    pattern: str
    better: str

    def find(self, text: str) -> Iterator[re.Match[str]]:
        """Every place of a text that has them."""
        return re.finditer(self.pattern.replace(" ", r"\s+"), text, re.IGNORECASE)


CONSTRUCTIONS = (
    Construction(
        pattern=r"\bso many\b", better="name the number: 'at most `limit` trials', 'that number of'"
    ),
    Construction(pattern=r"\b(?:go|goes|gone|going|went) on\b(?! to\b)", better="'continue', 'is resumed'"),
    Construction(pattern=r"\bfrom when on\b", better="'the instant at which', 'since'"),
    Construction(
        pattern=r"\bwhat (?:it|they) (?:is|are)\b(?! (?:for|worth)\b)",
        better="name the thing: 'its kind', 'its value'",
    ),
    Construction(
        pattern=r"\b(?:is|are|was|were|be|been|being|as) told\b",
        better="a subject and its act: 'Optuna sees', 'the error names', 'stderr shows', 'the user learns'",
    ),
    Construction(pattern=r"\b(?:told|tells?|telling) (?:\w+ ){0,3}apart\b", better="'distinguish'"),
    Construction(pattern=r"\btold (?:by|from)\b", better="'is recognised by', 'is distinguished from'"),
    Construction(
        pattern=rf"{NO_PREPOSITION}\b(?:an?|one) (?:(?:{ADJECTIVES}) )*(?!(?:{NO_NOUN})\b)[\w-]+"
        rf" an? (?:{COUNTED})\b",
        better="'per' or 'for each': 'a row per trial', 'one file for each run'",
    ),
    Construction(pattern=r"\b(?:the like of|(?:and|or) (?:its|their) like)\b", better="name the others"),
    Construction(
        pattern=r"\bones? (?:that|which|whose)\b", better="repeat the noun: 'a file that', 'the trial whose'"
    ),
    Construction(pattern=r"\bone's own\b", better="'your own'"),
    Construction(pattern=r"\ban own\b", better="'its own', 'a separate'"),
    Construction(pattern=r"\bwhoever\b", better="'the caller', 'the user who', 'a process that'"),
    Construction(pattern=r"\bin vain\b", better="'without result', 'with nothing to wait for'"),
    Construction(
        pattern=rf"(?<!')\b(?:{UNITS}) an? (?:{COUNTED}|hour|image|module|second|side)\b",
        better="'per': 'ms per trial', 'bytes per second'",
    ),
    Construction(pattern=r"\bsome \d", better="'about 100 ms'"),
    Construction(pattern=r"\bbut for\b", better="'except', 'except for'"),
    Construction(pattern=r"\b(?:is|are) another matter\b", better="name the difference, or leave it out"),
    Construction(pattern=r"\bwhat is no\b", better="'a value that is not a', 'everything except'"),
)
OPENING = re.compile(
    r"(?:And|As(?! (?:many|much))|At(?! (?:least|most))|But|By|For|From|In|Of|On|Or|So|Than|To|Under|With)\b"
)
"""A docstring begins with a verb or a noun phrase, so it begins with none of these."""


def prose_of_python(source: str) -> str:
    """The strings and comments of a module, at the places where they stand; all else is `CODE`."""
    prose = [character if character.isspace() else CODE for character in source]
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind in ("STRING", "COMMENT", "FSTRING_MIDDLE"):
            begin = starts[token.start[0] - 1] + token.start[1]
            end = starts[token.end[0] - 1] + token.end[1]
            prose[begin:end] = _words_of(source[begin:end], kind)
        elif kind in ("FSTRING_START", "FSTRING_END"):
            begin = starts[token.start[0] - 1] + token.start[1]
            prose[begin : begin + len(token.string)] = " " * len(token.string)
    return without_names("".join(prose))


def _words_of(text: str, kind: str) -> str:
    """A token's words; its quotes, prefix or hash become spaces, and braces of an f-string a name."""
    if kind == "COMMENT":
        return text.replace("#", " ", 1)
    if kind == "FSTRING_MIDDLE":
        return text
    opened = re.match(r"([a-zA-Z]*)(\"\"\"|'''|\"|')", text)
    assert opened is not None, text
    quotes = len(opened[2])
    inner = text[opened.end() : -quotes]
    if "f" in opened[1].lower():
        inner = re.sub(r"\{[^{}]*\}", _blank, inner)
    return " " * opened.end() + inner.replace("\\n", "  ") + " " * quotes


def prose_of_markdown(source: str) -> str:
    """The sentences of a document, at the places where they stand; blocks of code are `CODE`."""
    blocks = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
    return without_names(blocks.sub(lambda block: re.sub(r"\S", CODE, block.group()), source))


def without_names(text: str) -> str:
    """The text with `NAME` for what stands between backticks."""
    return re.sub(r"(`+)[^`]+?\1", _blank, text)


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"\S", NAME, found.group())


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Every docstring with its line: of modules, classes, functions, and of the constants above them."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def complaints(name: str, source: str) -> list[str]:
    """What to write otherwise in a file: file and line, the words, and better words."""
    is_python = name.endswith(".py")
    prose = prose_of_python(source) if is_python else prose_of_markdown(source)
    found = [
        (prose.count("\n", 0, match.start()) + 1, " ".join(match.group().split()), construction.better)
        for construction in CONSTRUCTIONS
        for match in construction.find(prose)
    ]
    for line, text in docstrings(source) if is_python else ():
        if opening := OPENING.match(text):
            found.append((line, f"{opening.group()} ...", "begin with a verb or a noun phrase"))
    return [f"{name}:{line}: {words!r}: write {better}" for line, words, better in sorted(found)]


def written_files() -> list[str]:
    words = ["git", "ls-files", "-z", *(f"{package}/*.py" for package in PACKAGES), "*.md"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def test_no_sentence_has_to_be_read_twice() -> None:
    files = written_files()
    assert len(files) > 100
    found = [line for name in files for line in complaints(name, (ROOT / name).read_text())]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('"""Train on so many images."""', "so many"),
        ('def f():\n    """Train on so\n    many images."""', "so many"),
        ("# it is gone on\n# with later", "gone on"),
        ('x = (\n    f"{y} go on "\n    "with it"\n)', "go on"),
        ('help(text="One row a trial.")', "One row a trial"),
        ("x = 1  # a report an epoch", "a report an epoch"),
        ('"""Optuna is told of it."""', "is told"),
        ('"""They are told\napart."""', "told apart"),
        ('"""The one that failed."""', "one that"),
        ('"""It goes on to work, and goes on."""', "goes on"),
        ('"""Takes some 100 ms\n    a module."""', "some 1"),
        ('"""Takes 100 ms\n    a module."""', "ms a module"),
        ('"""As shipped but for the images."""', "but for"),
        ('x = 1\n"""Of a node."""', "Of ..."),
    ],
)
def test_construction_is_found_where_people_read_it(source: str, words: str) -> None:
    assert any(f"{words!r}: write" in complaint for complaint in complaints("a.py", source))


@pytest.mark.parametrize(
    "source",
    [
        "so_many = told = 1",
        '"""Reads `so many` and ``is told``."""',
        'x = f"{is_told} of it"',
        'x = ("so", "many")',
        '"""One of a few values; each as a new trial; gives each trial a thread."""',
        '"""The user told Ray to stop."""',
        '"""Continues with the next one; goes on to work."""',
    ],
)
def test_code_and_plain_sentences_pass(source: str) -> None:
    assert complaints("a.py", source) == []


def test_block_of_code_and_its_line_count_in_a_document() -> None:
    text = "# A\n\n```sh\nso many\n```\n\nIt takes so\nmany.\n"
    assert [complaint.split(": ")[0] for complaint in complaints("a.md", text)] == ["a.md:7"]
