"""The pages of a board: frames whose parts `live.js` fills and keeps new.

A frame holds no rows, so it is there at once, however long a reading takes. Pure: texts from names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tune_jobs.report.board.addresses import ENTER, ROOT, STATIC, study_path, trial_path
from tune_jobs.report.board.store_parts import HEADLINES as OF_STORE
from tune_jobs.report.board.study_parts import HEADLINES as OF_STUDY
from tune_jobs.report.board.study_parts import WHOLE
from tune_jobs.report.board.trial_parts import HEADLINES as OF_TRIAL
from tune_jobs.report.board.trial_parts import LOGS
from tune_jobs.report.page.markup import escaped
from tune_jobs.report.page.style import style_sheet

LIVE_S = 2
"""Seconds between two questions of a page for news."""

RELOAD_S = 30
"""Seconds after which the whole page is loaded again where no script runs."""

STYLE = """
html { overflow-anchor: none; }
.path { margin: 16px 0 0; font-size: .93em; } .path + h1 { margin-top: 4px; }
[data-part] .waits { min-height: 16em; }
.problem { border: 2px solid #cf222e; border-radius: 6px; padding: 8px 12px; }
.problem[hidden] { display: none; }
.log { margin: 8px 0; padding: 8px 10px; font: .8em/1.4 ui-monospace, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; background: var(--card); }
form { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 8px 0; font-size: .93em; }
input, button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; padding: 4px 8px; min-height: 32px; } input { max-width: 100%; }
input:focus-visible, button:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
td a { display: inline-block; min-width: 1.5em; }
@media print { form, .path { display: none; } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A page above this one."""

    path: str
    words: str


def board_style() -> str:
    """The style sheet: that of the page of a study, and what the board adds."""
    return style_sheet() + STYLE


def store_frame(place: str) -> str:
    """The list of the studies of a store."""
    return _frame(title="Studies", soft=place, above=[], news="/news", parts="/part/", names=OF_STORE)


def study_frame(study: str, *, alone: bool) -> str:
    """The page of a study.

    Args:
        alone: whether the board shows no other study.
    """
    path = study_path(study)
    nav = "".join(f'<li><a href="#{name}">{escaped(words)}</a></li>' for name, words in OF_STUDY.items())
    form = (
        f'<form action="{trial_path(study)[:-1]}" method="get"><label for="number">Trial</label>'
        '<input id="number" name="number" inputmode="numeric" pattern="[0-9]{1,9}" size="6" required>'
        f'<button>Show</button><span><a href="{path}{WHOLE}">The whole page</a>, to print or to keep</span>'
        "</form>"
    )
    return _frame(
        title=study,
        soft="",
        above=[] if alone else [Link(path=ROOT, words="Studies")],
        news=f"{path}news",
        parts=f"{path}part/",
        names=OF_STUDY,
        head=form + f'<nav aria-label="Contents"><ul>{nav}</ul></nav>',
        instead=f"{path}{WHOLE}?live",
    )


def trial_frame(study: str, number: int) -> str:
    """The page of a trial."""
    path = trial_path(study, number)
    return _frame(
        title=f"Trial {number} of {study}",
        soft="",
        above=[Link(path=study_path(study), words=study)],
        news=f"{study_path(study)}news",
        parts=f"{path}/part/",
        names=OF_TRIAL,
        always=LOGS,
    )


def enter_page() -> str:
    """The page for viewers without the token. Its field has no name, so no browser puts it in an address."""
    body = f"""<header><h1>This board needs its token</h1></header>
<main id="content"><p>The terminal in which the board was started shows the token, or the person who
started it has it.</p>
<form id="enter" data-enter="{ENTER}"><label for="token">Token</label>
<input id="token" type="password" autocomplete="off" size="44" required><button>Enter</button></form>
<p id="answer" role="alert"></p>
<noscript><p>Without scripts: <a href="{ENTER}">enter here</a> with any name, and the token as the
password.</p></noscript></main>"""
    return _document("The board needs its token", body, script="enter.js")


def words_page(title: str, words: str) -> str:
    """A page that holds a sentence, such as an error."""
    body = (
        f"<header><h1>{escaped(title)}</h1></header>"
        f'<main id="content"><p>{escaped(words, 4000)}</p><p><a href="{ROOT}">To the start of the board</a>'
        "</p></main>"
    )
    return _document(title, body)


def _frame(
    *,
    title: str,
    soft: str,
    above: list[Link],
    news: str,
    parts: str,
    names: Mapping[str, str],
    head: str = "",
    instead: str = "",
    always: str = "",
) -> str:
    links = " / ".join(f'<a href="{link.path}">{escaped(link.words)}</a>' for link in above)
    boxes = "\n".join(
        f'<div data-part="{parts}{name}"{" data-always" if name == always else ""}>'
        f'<section id="{name}" class="waits"><h2>{escaped(words)}</h2><p class="soft">Not loaded yet.</p>'
        "</section></div>"
        for name, words in names.items()
    )
    body = f"""<a class="skip" href="#content">Skip to the content</a>
<header>
{f'<p class="path">{links}</p>' if links else ""}
<h1>{escaped(title)}</h1>
{f'<p class="soft">{escaped(soft)}</p>' if soft else ""}
<p class="soft" id="status">Reading the rows.</p>
<p class="problem" id="problem" role="alert" hidden></p>
{head}
</header>
<main id="content" data-news="{news}" data-seconds="{LIVE_S}">
{boxes}
</main>
<footer><p>The board of tune-jobs. It only reads the store. Instants are in UTC.</p></footer>"""
    without = (
        f'<noscript><meta http-equiv="refresh" content="0; url={instead}"></noscript>' if instead else ""
    )
    return _document(title, body, script="live.js", head=without)


def _document(title: str, body: str, *, script: str = "", head: str = "") -> str:
    loaded = f'<script src="{STATIC}{script}" defer></script>' if script else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(title)} - tune-jobs</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{STATIC}board.css">
{loaded}{head}
</head>
<body>
{body}
</body>
</html>
"""
