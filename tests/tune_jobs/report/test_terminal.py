"""Colours: which streams get them, how they look, and that no meaning is in them alone."""

from __future__ import annotations

from typing import Any

import pytest
from rich.color import ColorSystem
from rich.style import Style
from terminal_testing import CODE, Kind, Stream

from tune_jobs.report.tables import Table
from tune_jobs.report.terminal import PLAIN, STYLES, Paint, Tone, can_show, paint_of
from tune_jobs.report.text import draw_text

COLOURED = Paint(system=ColorSystem.EIGHT_BIT)

ENDS = Table(
    title="how trials ended",
    columns=("state", "trials", "failed", "reason"),
    rows=(
        ("completed", 3, 0, "failed"),
        ("failed", 12, 2, "a long reason, which is broken into several lines where the terminal is narrow"),
        ("infeasible", 1, None, ""),
    ),
    states=("state", "failed"),
    best=(0,),
)


@pytest.fixture(autouse=True)
def many_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_a_terminal_gets_colours() -> None:
    assert paint_of(Stream(Kind())).system is ColorSystem.EIGHT_BIT


@pytest.mark.parametrize(
    ("tty", "variables"),
    [
        (False, {}),
        (False, {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}),
        (True, {"NO_COLOR": "1"}),
        (True, {"TERM": "dumb"}),
        (True, {"TERM": "dumb", "COLORTERM": "truecolor"}),
        (True, {"TERM": "unknown"}),
    ],
)
def test_other_streams_get_none(
    monkeypatch: pytest.MonkeyPatch, tty: bool, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert paint_of(Stream(Kind(tty=tty))) == PLAIN


def test_a_pipe_gets_the_bytes_that_it_got_before_there_were_colours() -> None:
    assert draw_text(ENDS, width=60) == (
        "how trials ended\n"
        "\n"
        " state       trials  failed  reason\n"
        " ───────────────────────────────────────────────────────────\n"
        " completed        3       0  failed\n"
        " failed          12       2  a long reason, which is broken\n"
        "                             into several lines where the\n"
        "                             terminal is narrow\n"
        " infeasible       1       -\n"
        "\n"
    )


@pytest.mark.parametrize("width", [30, 60, 160])
def test_colours_move_no_character(width: int) -> None:
    painted = draw_text(ENDS, width=width, paint=COLOURED)
    assert painted != CODE.sub("", painted) == draw_text(ENDS, width=width)


def test_states_and_the_best_row_have_their_colours_and_reasons_have_none() -> None:
    lines = draw_text(ENDS, width=160, paint=COLOURED).splitlines()
    assert COLOURED("state", Tone.HEAD)[:5] in lines[2]
    assert lines[4].count(COLOURED("3", Tone.BEST)) == 1
    assert COLOURED("failed", Tone.FAILED) not in lines[4]  # a reason is no state
    assert COLOURED("failed", Tone.FAILED) in lines[5]
    assert COLOURED("2", Tone.FAILED) in lines[5]
    assert CODE.findall(lines[5].partition("a long reason")[2]) == []
    assert COLOURED("infeasible", Tone.REFUSED) in lines[6]


def test_blanks_stay_outside_of_a_colour() -> None:
    assert COLOURED("  a b ", Tone.FAILED) == f"  {COLOURED('a b', Tone.FAILED)} "
    assert COLOURED("   ", Tone.FAILED) == "   "
    assert COLOURED("a", None) == "a" == PLAIN("a", Tone.FAILED)


@pytest.mark.parametrize(("system", "least"), [(ColorSystem.TRUECOLOR, 4.45), (ColorSystem.EIGHT_BIT, 3.85)])
def test_colours_are_readable_on_black_and_on_white(system: ColorSystem, least: float) -> None:
    """Source: WCAG 2.2, relative luminance and contrast ratio."""
    for style in STYLES.values():
        colour: Any = Style.parse(style).color
        if colour is not None:
            luminance = _luminance(colour.downgrade(system).get_truecolor())
            assert min(1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05) >= least, style


def _luminance(triplet: tuple[int, int, int]) -> float:
    linear = [
        channel / 255 / 12.92 if channel / 255 <= 0.04045 else ((channel / 255 + 0.055) / 1.055) ** 2.4
        for channel in triplet
    ]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_stream_shows_the_characters_of_its_encoding() -> None:
    assert can_show("▁", Stream(Kind()))
    assert not can_show("▁", Stream(Kind(encoding="latin-1")))
    assert can_show("é", Stream(Kind(encoding="latin-1")))
