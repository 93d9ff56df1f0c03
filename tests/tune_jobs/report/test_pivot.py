"""The pivot of a study, letter by letter in each form, and the parameters that make none."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd
import pytest
from own_studies import cells

from eml_models.errors import InvalidValueError, UnknownNameError
from tune_jobs.analysis.factors import design_of, read_outcomes
from tune_jobs.inputs.shipped import digits_recipes, lab_mnist
from tune_jobs.report.formats import CSV, JSON, LATEX, MARKDOWN, TABLE
from tune_jobs.report.markup import as_latex, as_markdown
from tune_jobs.report.pivot import NOT_USED, pivot_table
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Choice, Constant, Integer, Parameter, When
from tune_jobs.study.space import Space

GRID = lab_mnist().with_changes(
    space=Space(
        Integer("repeat", 1, 2),
        Choice("optimizer", ("sgd_momentum", "adam")),
        Choice("learning_rate", (0.1, 0.01)),
        Constant("weight_decay", 0.1),
    )
)
VALUES: dict[tuple[str, float], tuple[float | None, ...]] = {
    ("adam", 0.1): (0.20, None),
    ("adam", 0.01): (0.90, 0.92),
    ("sgd_momentum", 0.1): (0.80, 0.84),
    ("sgd_momentum", 0.01): (None, None),
}


def pivot(study: Study, names: str, form: str, trials: list[tuple[dict[str, Any], float | None]]) -> Table:
    frame = pd.DataFrame(
        {
            "number": range(len(trials)),
            "state": ["failed" if value is None else "completed" for _, value in trials],
            "params": [json.dumps(params) for params, _ in trials],
            "objective": pd.Series([value for _, value in trials], dtype="float64"),
        }
    )
    definition = study.definition()
    return pivot_table(read_outcomes(frame), design_of(definition), definition, names.split(","), form)


def grid_trials() -> list[tuple[dict[str, Any], float | None]]:
    return [
        ({"repeat": n, "optimizer": optimizer, "learning_rate": rate, "weight_decay": 0.1}, value)
        for (optimizer, rate), values in VALUES.items()
        for n, value in enumerate(values, start=1)
    ]


TITLE = (
    "mean val_accuracy [its 95 % interval, Student's t] (number of trials); over seeds;"
    " without 3 failed trials"
)

GOLDEN_MARKDOWN = rf"""{TITLE}

| optimizer    | learning_rate 0.01          | learning_rate 0.1           |
| ------------ | --------------------------- | --------------------------- |
| sgd_momentum | failed (2)                  | 0.8200 [0.5659, 1.0000] (2) |
| adam         | 0.9100 [0.7829, 1.0000] (2) | 0.2000 (1)                  |
"""

GOLDEN_LATEX = r"""\begin{table}[ht]
  \centering
  \caption{mean val\_accuracy [its 95 \% interval, Student's t] (number of trials); over seeds; without 3 failed trials}
  \begin{tabular}{lll}
    \hline
    optimizer & learning\_rate 0.01 & learning\_rate 0.1 \\
    \hline
    sgd\_momentum & failed (2) & 0.8200 [0.5659, 1.0000] (2) \\
    adam & 0.9100 [0.7829, 1.0000] (2) & 0.2000 (1) \\
    \hline
  \end{tabular}
\end{table}
"""  # noqa: E501 - a caption is a line

GOLDEN_CSV = (
    "optimizer,learning_rate 0.01 mean,learning_rate 0.01 low,learning_rate 0.01 high,learning_rate 0.01 n,"
    "learning_rate 0.01 failed,learning_rate 0.1 mean,learning_rate 0.1 low,learning_rate 0.1 high,"
    "learning_rate 0.1 n,learning_rate 0.1 failed\n"
    "sgd_momentum,,,,0,2,0.820000,0.565876,1.000000,2,0\n"
    "adam,0.910000,0.782938,1.000000,2,0,0.200000,,,1,1\n"
)


@pytest.mark.parametrize(
    ("form", "expected"), [(MARKDOWN, GOLDEN_MARKDOWN), (LATEX, GOLDEN_LATEX), (CSV, GOLDEN_CSV)]
)
def test_pivot_letter_by_letter(form: str, expected: str) -> None:
    text = render(pivot(GRID, "optimizer,learning_rate", form, grid_trials()), form)
    if form == CSV:  # every digit, of which the last depend on the machine
        head, rows = text.split("\n", 1)
        text = f"{head}\n" + re.sub(r"\d\.\d+", lambda found: f"{float(found[0]):.6f}", rows)
    assert text == expected


def test_pivot_by_one_parameter_is_a_column_and_json_has_numbers() -> None:
    table = pivot(GRID, "optimizer", TABLE, grid_trials())
    assert table.columns == ("optimizer", "val_accuracy")
    assert table.title.startswith(
        "mean val_accuracy [its 95 % interval, Student's t] (number of trials); over all"
    )
    (_, second) = json.loads(render(pivot(GRID, "optimizer", JSON, grid_trials()), JSON))
    assert (second["optimizer"], second["val_accuracy n"], second["val_accuracy failed"]) == ("adam", 3, 1)
    assert second["val_accuracy mean"] == pytest.approx((0.2 + 0.9 + 0.92) / 3)


def test_a_third_parameter_adds_rows_and_one_that_does_not_apply_is_named() -> None:
    space: tuple[Parameter, ...] = (
        Choice("optimizer", ("sgd", "adam")),
        Choice("momentum", (0.5, 0.9), when=When("optimizer", ("sgd",))),
        Choice("batch_size", (32, 128)),
    )
    trials: list[tuple[dict[str, Any], float | None]] = [
        ({"optimizer": "sgd", "momentum": 0.9, "batch_size": 128}, 0.5),
        ({"optimizer": "sgd", "momentum": 0.5, "batch_size": 32}, 0.25),
        ({"optimizer": "adam", "batch_size": 32}, 0.75),
    ]
    table = pivot(GRID.with_changes(space=Space(*space)), "optimizer,momentum,batch_size", MARKDOWN, trials)
    assert table.columns == ("optimizer", "momentum", "batch_size 32", "batch_size 128")
    assert table.rows == (
        ("sgd", "0.5", "0.2500 (1)", None),
        ("sgd", "0.9", None, "0.5000 (1)"),
        ("adam", "(not used)", "0.7500 (1)", None),
    )


def test_levels_that_look_alike_are_told_apart() -> None:
    levels = ("", NOT_USED, " a", "a")
    space = Space(Choice("head", ("none", "deep")), Choice("norm", levels, when=When("head", ("deep",))))
    study = cells().with_changes(space=space, sampler="grid", asha=None, cost=None, limits={})
    trials: list[tuple[dict[str, Any], float | None]] = [({"head": "none"}, 0.5)]
    trials += [({"head": "deep", "norm": level}, 0.5) for level in levels]
    shown = [row[0] for row in pivot(study, "norm,head", MARKDOWN, trials).rows]
    assert shown == ["''", "'(not used)'", "' a'", "a", "(not used)"]


def test_pivot_of_a_search_says_that_it_is_biased() -> None:
    trials: list[tuple[dict[str, Any], float | None]] = [({"optimizer": "adam", "learning_rate": 0.1}, 0.5)]
    assert "biased: the search chose" in pivot(digits_recipes(), "optimizer", TABLE, trials).title


@pytest.mark.parametrize(
    ("study", "names", "message"),
    [
        (
            digits_recipes(),
            "optimizer,learning_rate",
            "--pivot: learning_rate is searched over a range and so has no levels; parameters with levels:"
            " optimizer, .* Search it as a choice of values, or take report without --pivot",
        ),
        (
            GRID,
            "weight_decay",
            "weight_decay is 0.1 in all trials, one level alone; parameters with levels: opt",
        ),
        (GRID, "repeat,optimizer", "repeat stands for seeds, over which each cell is a mean"),
        (GRID, "optimizer,optimizer", "--pivot: optimizer is given twice"),
        (GRID, "weight_decay,repeat", "2 problems"),
    ],
)
def test_parameter_without_levels_is_refused_with_a_way_out(study: Study, names: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        pivot(study, names, TABLE, grid_trials())


def test_unknown_parameter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UnknownNameError, match="unknown parameter 'optimiser'; known: optimizer, learning_rate"
    ):
        pivot(GRID, "optimiser", TABLE, grid_trials())


def test_study_without_a_value_has_no_table() -> None:
    failed: list[tuple[dict[str, Any], float | None]] = [({"optimizer": "adam", "learning_rate": 0.1}, None)]
    for trials, way_out in (([], "run it first"), (failed, "mend what makes its trials fail")):
        with pytest.raises(InvalidValueError, match=f"has completed with a value, .*; {way_out}"):
            pivot(GRID, "optimizer", TABLE, trials)


HOSTILE = Table(
    title="a_b & 5 %",
    columns=("x_y", "n"),
    rows=(("[a](b)|c", 1), ("*x* <b> _y_", 22_000), ("\\end{table}\n$#^~{}", None)),
)


def test_markdown_takes_no_text_for_a_mark() -> None:
    assert as_markdown(HOSTILE).splitlines() == [
        "a_b & 5 %",
        "",
        "| x_y                   |      n |",
        "| --------------------- | -----: |",
        "| [a]\\(b)\\|c            |      1 |",
        "| \\*x\\* \\<b\\> \\_y\\_     | 22,000 |",
        "| \\\\end{table} \\$#^\\~{} |      - |",
    ]


def test_markdown_takes_no_text_for_a_character_by_name() -> None:
    table = Table(columns=("level",), rows=(("a&lt;b &#60; c",), ("R&D & more;",)))
    assert as_markdown(table).splitlines()[2:] == [r"| a\&lt;b \&#60; c |", r"| R&D & more;      |"]


def test_latex_takes_no_text_for_a_command() -> None:
    lines = as_latex(HOSTILE).splitlines()
    assert lines[2] == r"  \caption{a\_b \& 5 \%}"
    assert lines[5:10] == [
        r"    x\_y & n \\",
        r"    \hline",
        r"    {}[a](b)\textbar{}c & 1 \\",
        r"    {}*x* \textless{}b\textgreater{} \_y\_ & 22,000 \\",
        r"    \textbackslash{}end\{table\} \$\#\textasciicircum{}\textasciitilde{}\{\} & - \\",
    ]
