"""Short forms of values: without defaults at the prompt, escaped in a notebook."""

from __future__ import annotations

from dataclasses import dataclass, field

from eml_models import Recipe
from eml_models.shown import MAX_CELL, as_python, html_table


@dataclass(frozen=True)
class Point:
    """A value with a field of each kind."""

    x: float
    y: float = 0.0
    names: tuple[str, ...] = field(default_factory=tuple, kw_only=True)
    unit: str = field(default="m", kw_only=True)


def test_fields_with_their_defaults_are_left_out() -> None:
    assert as_python(Point(1.0)) == "Point(1.0)"
    assert as_python(Point(1.0, 2.0, unit="px", names=("a",))) == "Point(1.0, 2.0, names=('a',), unit='px')"


def test_recipe_is_short_and_can_be_pasted() -> None:
    recipe = Recipe(learning_rate=0.1, epochs=9, model_options={"width": 8})
    assert repr(recipe) == "Recipe(model_options={'width': 8}, learning_rate=0.1, epochs=9)"
    assert eval(repr(recipe), {"Recipe": Recipe}) == recipe
    page = recipe._repr_html_()
    assert page.index("learning_rate") < page.index("batch_size")  # the changed fields come first


def test_html_obeys_no_text() -> None:
    page = html_table("<script>", [("a & b", "<img src=x onerror=alert(1)>")], columns=("<b>",), note="<i>")
    assert "<script>" not in page
    assert "<img" not in page
    assert "a &amp; b" in page
    assert "&lt;b&gt;" in page


def test_cells_are_short() -> None:
    page = html_table("t", [(0.123456789, None, "x" * 1000)])
    assert "<td>0.123457</td><td></td>" in page
    assert "x" * MAX_CELL + "..." in page
    assert "x" * (MAX_CELL + 1) not in page
