"""Every picture of the pages is there, is whole, and reads on a light and on a dark page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from documents import DOCUMENTS

PICTURES = sorted((Path(__file__).parents[2] / "docs" / "pictures").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_picture_has_an_opaque_background_before_anything_else(path: Path) -> None:
    root = ET.fromstring(path.read_text())
    drawn = [part for part in root if part.tag not in (f"{SVG}style", f"{SVG}defs", f"{SVG}title")]
    assert drawn[0].tag == f"{SVG}rect"
    assert drawn[0].get("fill") == "#ffffff"


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_picture_loads_nothing(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/", "")
    assert re.findall(r"https?://|<script|@import|@font-face", text) == []


def test_picture_of_a_page_has_words_for_people_who_do_not_see_it() -> None:
    shown = [found for path in DOCUMENTS for found in re.findall(r"!\[([^\]]*)\]\(", path.read_text())]
    assert shown
    assert all(len(words.split()) >= 4 for words in shown)


def test_words_of_the_front_are_those_of_the_picture() -> None:
    (front,) = [path for path in PICTURES if path.stem == "front"]
    label = ET.fromstring(front.read_text()).get("aria-label") or ""
    (count,) = re.findall(r"On the front: (\d+) trials", label)
    words = {"3": "three", "4": "four", "5": "five", "6": "six", "7": "seven", "8": "eight", "9": "nine"}
    (alt,) = re.findall(r"!\[([^\]]*)\]\(docs/pictures/front\.svg\)", DOCUMENTS[0].read_text())
    assert words.get(count, count) in alt
