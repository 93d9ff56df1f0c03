"""Sentences on stderr or stdout, and data on stdout."""

from __future__ import annotations

import pytest

from tune_jobs.cli.telling import put, say, tell, tell_note

RED = "\x1b[31mred"


def test_sentences_are_harmless_and_data_is_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    tell(RED)
    tell_note(RED)
    assert capsys.readouterr() == ("", "\\x1b[31mred\nnote: \\x1b[31mred\n")
    say(RED)
    say()
    put(RED)
    assert capsys.readouterr() == ("\\x1b[31mred\n\n" + RED, "")
