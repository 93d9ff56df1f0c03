"""What is said to people: nothing in it is obeyed by a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eml_models.wording import cut, duration_of, first_line, harmless, listed, sentence


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb", r"a\rb"),
        ("a\r\nb\tc\n", "a\nb\tc\n"),
        ("\x9b2J\x85\x7f\x00", r"\x9b2J\x85\x7f\x00"),
        ("abc\u202edcba", r"abc\u202edcba"),
        ("\u2066\u2069\u200e\u061c\ufeff\u200b\u2028", r"\u2066\u2069\u200e\u061c\ufeff\u200b\u2028"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("plain ünï-漢字 \u00a0\u3000 👩‍💻", "plain ünï-漢字 \u00a0\u3000 👩‍💻"),
        ("", ""),
    ],
)
def test_what_a_terminal_obeys_or_hides_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert harmless(text) == shown


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("  no such value\nand more"), "no such value"),
        (KeyError(), "KeyError"),
        ("\nout of memory\nat 0x1", "out of memory"),
        (" \n", "(no message)"),
    ],
)
def test_first_line_of_an_error_or_its_text(error: BaseException | str, line: str) -> None:
    assert first_line(error) == line


@given(st.text(st.characters()))
def test_no_text_keeps_a_character_that_is_obeyed(text: str) -> None:
    """By Unicode's own categories: controls, formats, halves of pairs, separators of lines."""
    left = [c for c in harmless(text) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert not set(left) - set("\n\t\u200c\u200d")
    harmless(text).encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_people_read_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_a_long_value_is_cut_in_a_message() -> None:
    assert cut("short") == "'short'"
    assert len(cut("x" * 10**6)) < 100
    assert len(cut([0] * 1000)) < 100
    assert cut(10**5000) == "a whole number of thousands of digits"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (0.0251, "0.025 s"),
        (8.04, "8 s"),
        (9.96, "10 s"),
        (119.4, "119 s"),
        (119.6, "2 min"),
        (3569.0, "59 min"),
        (3590.0, "1 h"),
        (4800.0, "1 h 20 min"),
        (86_399.0, "1 d"),
        (86_400.0 + 3 * 3600, "1 d 3 h"),
    ],
)
def test_duration_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration_of(seconds) == words


def test_list_of_words() -> None:
    assert [listed(words) for words in ([], ["a"], ["a", "b"])] == ["", "a", "a and b"]
    assert listed(["a", "b", "c"], "or") == "a, b or c"


@pytest.mark.parametrize(
    ("text", "whole"),
    [("no rows", "no rows."), ("no rows.", "no rows."), ("did you mean 'a'?", "did you mean 'a'?")],
)
def test_a_sentence_ends_once(text: str, whole: str) -> None:
    assert sentence(text) == whole
