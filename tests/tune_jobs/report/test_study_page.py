"""The page of a study: it holds its data, no script, no address, and no markup of a user."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser_testing import Browser, needs_browser
from figures_testing import MARKUP, seen_of

from eml_models.training.recipe import Recipe
from tune_jobs import Choice, Float, Space, State, Study
from tune_jobs.errors import UndrawableError
from tune_jobs.report.figures.catalog import FIGURES, figure_of
from tune_jobs.report.figures.drawing import can_draw
from tune_jobs.report.figures.figure import Figure
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.findings import CHECKS, SECONDS, STOPPED, WON, findings_of
from tune_jobs.report.page.markup import table_html
from tune_jobs.report.page.sections import figure_section
from tune_jobs.report.page.style import style_sheet
from tune_jobs.report.page.whole import study_page, subtitle_of
from tune_jobs.report.tables import Table
from tune_jobs.study.parameters import Parameter
from tune_jobs.study.rows import EventKind, ReportRow, Row, StartRow, TrialRow
from tune_jobs.testing.rows import event_row, numbered, start_row, trial_row

pytestmark = pytest.mark.skipif(not can_draw(), reason="the extra figures is not installed")

TABLES = (
    Table(title=f"Levels {MARKUP}", columns=("level", MARKUP), rows=tuple((MARKUP, n) for n in range(30))),
    Table(title="Wide", columns=tuple(f"column_{n}" for n in range(30)), rows=((0.5,) * 30,), note="A note."),
)

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Reads the tables of a page by section, and notes its tags and their nesting."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self._open: list[str] = []
        self._section = ""
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        if named.get("id"):
            self.ids.append(str(named["id"]))
        self.links += [str(named[name]) for name in ("href", "src", "xlink:href") if named.get(name)]
        if tag == "section":
            self._section = str(named["id"])
        if tag == "tr":
            self.tables.setdefault(self._section, []).append([])
        if tag in ("td", "th"):
            self._in_cell = True
            self.tables[self._section][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.tables[self._section][-1][-1] += data


@pytest.fixture(scope="module")
def seen() -> Seen:
    return seen_of(40, objectives=2)


@pytest.fixture(scope="module")
def page(seen: Seen) -> str:
    return study_page(seen, TABLES)


@pytest.fixture(scope="module")
def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader._open == []
    return reader


def test_page_holds_the_data_of_each_figure(seen: Seen, read: Reader) -> None:
    figures = [found for name in FIGURES if isinstance(found := figure_of(seen, name), Figure)]
    assert len(figures) >= 8
    for figure in figures:
        head, *rows = read.tables[figure.name]
        assert head == list(figure.table.columns)
        assert len(rows) == len(figure.table.rows)
    best = seen.ranked[0]
    newest = read.tables["history"][-1]
    assert (int(newest[0]), float(newest[1])) == (best.number, pytest.approx(best.objective, rel=1e-5))


def test_page_has_no_script_no_address_and_no_markup_of_a_user(page: str, read: Reader) -> None:
    assert "script" not in read.tags
    assert all(link.startswith("#") for link in read.links)
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", page)
    assert MARKUP not in page
    assert "&lt;script&gt;" in page


def test_page_ends_with_the_tables_of_the_report(page: str, read: Reader) -> None:
    rows = read.tables["tables"]
    assert [len(row) for row in rows] == [2] * 31 + [30] * 2
    assert rows[1] == [MARKUP, "0"]
    assert rows[-1] == ["0.5000"] * 30  # as in the table of a terminal
    assert "<p>A note.</p>" in page
    assert 'id="tables"' not in study_page(seen_of(0))


def test_ids_are_unique_and_links_lead_to_them(read: Reader) -> None:
    assert len(read.ids) == len(set(read.ids))
    assert {link[1:] for link in read.links} <= set(read.ids)


def test_page_of_the_same_rows_is_the_same_text(seen: Seen, page: str) -> None:
    assert study_page(seen, TABLES) == page


def test_page_has_one_headline_and_landmarks(read: Reader) -> None:
    assert [read.tags.count(tag) for tag in ("h1", "main", "header", "nav", "footer")] == [1] * 5
    assert read.tags.count("figure") == read.tags.count("figcaption") == read.tags.count("details")


@pytest.mark.parametrize("what", ["prefers-color-scheme: dark", "@media print", "max-width: 640px"])
def test_style_knows_themes_paper_and_phones(what: str) -> None:
    assert what in style_sheet()


@pytest.mark.parametrize(("count", "state"), [(0, None), (1, State.COMPLETED), (3, State.FAILED)])
def test_page_of_few_trials_says_what_is_missing(count: int, state: State | None) -> None:
    page = study_page(seen_of(count, state=state))
    assert "Not drawn" in page
    assert ("No trial has" in page) is (state is not State.COMPLETED)


def test_findings_say_what_won_and_that_one_seed_judges_nothing(seen: Seen) -> None:
    parts = findings_of(seen).parts
    best = seen.ranked[0]
    assert list(parts) == [WON, STOPPED, SECONDS, CHECKS]
    assert parts[WON][0].startswith(f"Trial {best.number} is the best by iou: {best.objective:.6g}")
    assert "cannot be judged" in parts[WON][1]
    assert "after epoch 1" in parts[STOPPED][0]
    assert "trained 1 time" in " ".join(parts[CHECKS])


def test_best_value_at_an_edge_is_named(seen: Seen) -> None:
    definition = json.loads(json.dumps(dict(seen.definition)))
    best = seen.params[seen.ranked[0].number]
    for parameter in definition["space"]:
        if parameter["name"] == "p1":
            parameter["low"] = best["p1"]
    edged = Seen(name=seen.name, definition=definition, rows=seen.rows)
    assert any("p1" in line and "lower edge" in line for line in findings_of(edged).parts[CHECKS])


@pytest.fixture(scope="module")
def address(page: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the page as a file."""
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(page)
    return file.as_uri()


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 768, 390])
def test_browser_shows_the_whole_page_without_a_word(
    chromium: Browser, address: str, width: int, dark: bool
) -> None:
    with chromium.tab(width=width, dark=dark) as tab:
        tab.go(address)
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        assert tab.cut() == []
        assert tab.console == []
        assert tab.asked_of_others() == []
        shown = "e => getComputedStyle(e).display != 'none'"
        pictures = f"[...document.querySelectorAll('figure > div')].filter({shown}).map(e => e.className)"
        kinds = tab.evaluate(pictures)
        assert set(kinds) == {"narrow" if width < 640 else "wide"}
        assert len(kinds) == len(tab.evaluate("[...document.querySelectorAll('figure')].map(e => 1)"))
        red = int(re.findall(r"\d+", tab.evaluate("getComputedStyle(document.body).backgroundColor"))[0])
        assert (red < 64) is dark


def hostile() -> Seen:
    """Sixty parameters, a choice of 200 levels with long names among them; four objectives; lost reports."""
    seen = seen_of(60, objectives=4, parameters=60)
    levels = [f"{MARKUP} level {number} {'long ' * 12}" for number in range(200)]
    definition = json.loads(json.dumps(dict(seen.definition)))
    definition["space"][0]["values"] = levels
    rows: list[Row] = []
    for row in seen.rows:
        if isinstance(row, StartRow | TrialRow):
            params = {**json.loads(row.params), "optimizer": levels[row.number * 3]}
            row = replace(row, params=json.dumps(params))
        if isinstance(row, ReportRow) and (row.number % 3 == 0 or row.epoch == 2):
            row = replace(row, metrics="{}")  # as where a loss was not finite
        rows.append(row)
    return Seen(name=seen.name, definition=definition, rows=rows)


@needs_browser
@pytest.mark.parametrize("width", [1440, 390])
def test_browser_shows_a_hostile_study_whole(chromium: Browser, hostile_address: str, width: int) -> None:
    with chromium.tab(width=width) as tab:
        tab.go(hostile_address)
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        assert tab.cut() == []
        assert tab.console == []


@pytest.fixture(scope="module")
def hostile_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("hostile") / "page.html"
    file.write_text(study_page(hostile(), TABLES))
    return file.as_uri()


@needs_browser
def test_keyboard_reaches_the_findings_and_the_data(chromium: Browser, address: str) -> None:
    with chromium.tab() as tab:
        tab.go(address)
        tab.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        assert tab.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        tab.evaluate("document.querySelector('#history summary').focus()")
        tab.press("Enter")
        assert tab.evaluate("document.querySelector('#history details').open")
        tab.press("Tab")
        assert tab.evaluate("document.activeElement.classList.contains('scroll')")


@needs_browser
def test_paper_is_white_also_for_readers_in_the_dark(chromium: Browser, address: str, tmp_path: Path) -> None:
    with chromium.tab(width=390, dark=True) as tab:
        tab.go(address)
        assert tab.print_to(tmp_path / "page.pdf").stat().st_size > 10_000
        tab.call("Emulation.setEmulatedMedia", media="print")
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert tab.evaluate("getComputedStyle(document.querySelector('.wide')).display") == "block"
        assert tab.evaluate("getComputedStyle(document.querySelector('figure')).breakInside") == "avoid"
        assert tab.evaluate("document.querySelector('details').getBoundingClientRect().height") == 0


@needs_browser
def test_browser_of_the_tests_notices_what_is_wrong(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "wrong.html"
    file.write_text(
        "<meta name=viewport content='width=device-width'>"
        "<p id=wide style='width: 500px'>wide</p>"
        "<div style='overflow: auto'><p style='width: 900px'></p></div>"
        "<svg width=50 height=20><text x=30 y=15>beyond</text></svg>"
        "<script>console.error('wrong'); fetch('http://127.0.0.1:9/').catch(() => 0)</script>"
    )
    with chromium.tab(width=390) as tab:
        tab.go(file.as_uri())
        assert {name.split()[-1] for name in tab.cut()} == {"wide", "beyond"}
        tab.browser.wait(lambda: len(tab.console) > 1, "the refused request is not on the console")
        assert "error: wrong" in tab.console
        assert tab.asked_of_others() == ["http://127.0.0.1:9/"]


def test_figure_that_cannot_be_drawn_leaves_its_words_and_its_table(seen: Seen) -> None:
    figure = figure_of(seen, "front")
    assert isinstance(figure, Figure)
    undrawable = replace(figure, panels=[{"mark": "nothing", "encoding": {}}])
    with pytest.raises(UndrawableError, match="cannot be drawn"):
        undrawable.png()
    section = figure_section(undrawable)
    assert "<p>the picture cannot be drawn from its numbers" in section
    assert section.count("<tr>") == 1 + len(figure.table.rows)


def shipped(*parameters: Parameter, trials: int | None = 375) -> Seen:
    """A study of the shipped training with two completed trials of two runs; the newest wanted `trials`."""
    recipe = Recipe(model="resnet18", dataset="digits", epochs=6, learning_rate=0.1)
    study = Study(name="shipped", recipe=recipe, space=Space(*parameters, Float("learning_rate", 0.1, 1.0)))
    rows: list[Row] = []
    for number, wanted in enumerate((2, trials)):
        detail = json.dumps({} if wanted is None else {"trials": wanted})
        rows.append(event_row(EventKind.SESSION_STARTED, study="shipped", detail=detail))
        params = {"learning_rate": 0.1}
        rows += [
            start_row(number, params, study="shipped"),
            trial_row(number, params=params, study="shipped"),
        ]
    definition = json.loads(json.dumps(study.definition()))
    return Seen(name="shipped", definition=definition, rows=numbered(*rows))


@pytest.mark.parametrize(
    ("seen_", "words"),
    [
        (shipped(), ("Data: digits; 2 of 375 trials, the last ended at ", "; 6 epochs. Objectives: ")),
        (shipped(trials=None), ("Data: digits; 2 ended trials, ",)),
        (shipped(Choice("epochs", (3, 9))), ("; 3 to 9 epochs.",)),
        (shipped(Choice("dataset", ("digits", "mnist"))), ("Data: digits and mnist; ",)),
        (seen_of(3), ("3 ended trials, the last ended at ", "; 9 epochs. ")),
        (seen_of(0), ("0 ended trials; 9 epochs. Objectives: iou (maximize).",)),
    ],
    ids=["whole", "no number", "epochs searched", "data searched", "own training", "empty"],
)
def test_subtitle_says_the_data_and_how_much_of_the_study_is_there(
    seen_: Seen, words: tuple[str, ...]
) -> None:
    line = subtitle_of(seen_)
    assert [word for word in words if word not in line] == []
    assert ("Data:" in line) is (seen_.definition["recipe"] is not None)


@pytest.mark.parametrize(("rows", "is_whole"), [(1, True), (12, True), (13, False)])
def test_a_short_table_hides_no_row_in_a_scroll_box(rows: int, is_whole: bool) -> None:
    text = table_html(Table(columns=("n",), rows=tuple((n,) for n in range(rows))))
    assert ('class="scroll whole"' in text) is is_whole
    assert ".scroll.whole { max-height: none; }" in style_sheet()
