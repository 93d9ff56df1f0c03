"""The picture of the layers is the written one, and has each wing once."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from building.layers import HOMES, PACKAGES, layers_as_svg, layers_of

ROOT = Path(__file__).parents[2]
WINGS = [wing for package in PACKAGES for layer in layers_of(package) for wing in layer]


def test_written_picture_is_that_of_the_contracts() -> None:
    assert (ROOT / "docs" / "pictures" / "layers.svg").read_text() == layers_as_svg(), "run: make pictures"


def test_each_wing_is_in_the_picture_once() -> None:
    texts = [found.text for found in ET.fromstring(layers_as_svg()).iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(texts) == sorted([*WINGS, *PACKAGES, *HOMES.values(), "imports"])
    folders = {path.parent.name for path in (ROOT / "tune_jobs").glob("*/__init__.py")}
    assert folders <= {*WINGS}
