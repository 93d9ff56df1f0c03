"""The parts of a page: a figure with its words and its table, and the findings. Each is a text.

Pictures are drawn when the page is written, as SVG without a script: the page works wherever HTML is shown
(a mail, a wiki, a preview, a browser without scripts), stays as it is for years, and needs 4.5 MB less than a
page with a plotting library in it. A browser shows a mark's words under the pointer. Each picture is there
twice, for wide and for narrow windows, because letters that shrink with their picture are not readable on a
phone.
"""

from __future__ import annotations

from collections.abc import Sequence

from eml_models.wording import sentence
from tune_jobs.errors import UndrawableError
from tune_jobs.report.figures.drawing import with_own_ids
from tune_jobs.report.figures.figure import NARROW, WIDE, Figure, Undrawn
from tune_jobs.report.findings import Findings
from tune_jobs.report.page.markup import escaped, table_html
from tune_jobs.report.tables import Table

WIDTHS = {"wide": WIDE, "narrow": NARROW}


def figure_section(figure: Figure) -> str:
    """A figure: its headline, its picture, how to read it, and its data as a table."""
    try:
        pictures = "\n".join(
            f'<div class="{kind}">{with_own_ids(figure.svg(width), f"{figure.name}-{kind}")}</div>'
            for kind, width in WIDTHS.items()
        )
    except UndrawableError as error:  # the words and the table are worth the page
        pictures = f"<p>{escaped(sentence(str(error)))}</p>"
    notes = "".join(f"<p>{escaped(note, 2000)}</p>" for note in figure.notes)
    return f"""<section id="{figure.name}" aria-labelledby="{figure.name}-title">
<h2 id="{figure.name}-title">{escaped(figure.title)}</h2>
<figure>
{pictures}
<figcaption><p>{escaped(figure.how, 2000)}</p>{notes}</figcaption>
</figure>
<details><summary>Data of this figure: {escaped(figure.title)}</summary>
{table_html(figure.table)}
</details>
</section>"""


def findings_section(findings: Findings) -> str:
    """What the rows say, in words, under headlines."""
    parts = "".join(
        f"<h3>{escaped(headline)}</h3><ul>{''.join(f'<li>{escaped(line, 2000)}</li>' for line in lines)}</ul>"
        for headline, lines in findings.parts.items()
        if lines
    )
    return (
        '<section id="findings" aria-labelledby="findings-title"><h2 id="findings-title">Findings</h2>'
        f'<div class="findings">{parts}</div></section>'
    )


def tables_section(tables: Sequence[Table]) -> str:
    """The tables of a report, each in full; empty if there is none."""
    if not tables:
        return ""
    return (
        '<section id="tables" aria-labelledby="tables-title"><h2 id="tables-title">Tables</h2>'
        f"{''.join(table_html(table, digits_of_text=True) for table in tables)}</section>"
    )


def undrawn_section(undrawn: Sequence[Undrawn]) -> str:
    """The figures that the study does not give, each with the reason; empty if there is none."""
    if not undrawn:
        return ""
    items = "".join(f"<li>{escaped(u.title)}: {escaped(u.why, 600)}.</li>" for u in undrawn)
    return (
        '<section id="undrawn" aria-labelledby="undrawn-title"><h2 id="undrawn-title">Not drawn</h2>'
        f"<ul>{items}</ul></section>"
    )


def contents(figures: Sequence[Figure], *, has_tables: bool = False) -> str:
    """Links to the parts of the page."""
    links = "".join(f'<li><a href="#{f.name}">{escaped(f.title)}</a></li>' for f in figures)
    links += '<li><a href="#tables">Tables</a></li>' if has_tables else ""
    return f'<nav aria-label="Contents"><ul><li><a href="#findings">Findings</a></li>{links}</ul></nav>'
