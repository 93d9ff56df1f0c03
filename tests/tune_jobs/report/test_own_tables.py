"""Tables of own training: no empty cost, whole numbers whole, early ends, and names that mean nothing here.

The studies are trained in this process, and their tables are those of `show` and `report`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tune_jobs import Choice, Integer, Maximize, Minimize, Space, Study, TrialStore
from tune_jobs.analysis.one_trial import facts_of
from tune_jobs.report.documents import pivot_document, report_document, study_document
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.leaderboard import STUDIES_SQL, studies
from tune_jobs.report.render import render
from tune_jobs.report.space_words import searched_table
from tune_jobs.report.tables import Table
from tune_jobs.report.trial_page import trial_tables
from tune_jobs.session.state_machine import Session
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.store.writer import StudyWriter
from tune_jobs.testing.in_process import own_reports, play

OURS = ("repeat", "seed", "epochs", "model", "candidate", "macs_share", "dataset", "failed", "params", "n")
"""Names that mean something in shipped studies or in tables."""


def train(params: dict[str, Any], run: Any) -> Iterator[dict[str, object]]:
    for epoch in range(1, params["stop"] + 1):
        yield {"score": params["width"] / epoch, "size": 4096.0 * params["width"]}


def small(**changes: Any) -> Study:
    given: dict[str, Any] = {
        "name": "small",
        "space": Space(Integer("width", 1, 2), Choice("stop", (2, 4))),
        "train": train,
        "objectives": (Maximize("score"), Minimize("size"), Minimize("params_total")),
        "cost": lambda params: {"params_total": 1000.0 * params["width"]},
        "epochs": 4,
        "trials": 4,
        "asha": None,
        "sampler": "grid",
    }
    return Study(**{**given, **changes})


def trained(folder: Path, study: Study) -> StudySnapshot:
    with StudyWriter.open(str(folder), study, versions={}) as log:
        play(Session(study, log), own_reports(study))
    return TrialStore(folder).read(study.name)


def texts(tables: list[Table]) -> str:
    return "\n".join(render(table, "table") for table in tables)


@pytest.mark.parametrize("num_objectives", [1, 3])
def test_whole_numbers_are_printed_whole(tmp_path: Path, num_objectives: int) -> None:
    study = small()
    known = trained(tmp_path, small(objectives=study.objectives[-num_objectives:]))
    (best,) = study_document(known, "json", top=9)
    column = best.columns.index("params_total")
    assert {(type(row[column]), row[column]) for row in best.rows} <= {(int, 1000), (int, 2000)}
    text = texts(study_document(known, "table", top=9))
    assert "1,000" in text
    for wrong in ("1,000.0", "1000.0", "4,096.0", "4.1e+03", "e+0"):
        assert wrong not in text
    shown = texts(trial_tables(facts_of(known.rows, 0, study="s"), metric="params_total"))
    assert "4,096" in shown or "8,192" in shown
    assert ".0" not in shown.split("params\n")[0].split("train_s")[0]


def test_lists_print_a_whole_best_whole(tmp_path: Path) -> None:
    trained(tmp_path, small(objectives=(Minimize("size"),)))
    store = TrialStore(tmp_path)
    assert studies(store.sql(STUDIES_SQL), {}).rows[0][1:3] == ("size", 4096)


def test_a_cost_that_no_trial_has_is_in_no_table(tmp_path: Path) -> None:
    def fails(params: dict[str, Any], run: Any) -> Iterator[dict[str, object]]:
        raise ValueError("no data")
        yield {}

    one, several = Maximize("score"), (Maximize("score"), Minimize("size"))
    for name, objectives in (("one", (one,)), ("several", several)):
        for function in (train, fails):
            study = small(
                name=f"{name}-{function.__name__}", objectives=objectives, train=function, cost=None, trials=2
            )
            known = trained(tmp_path, study)
            for form in ("table", "json"):
                for document in (study_document(known, form, top=9), report_document(known, form)):
                    for table in document:
                        assert not {"macs", "parameters"} & set(table.columns), (study.name, form)


def test_trials_whose_function_returned_early_are_told_apart(tmp_path: Path) -> None:
    for objectives in (small().objectives, small().objectives[:1]):
        known = trained(tmp_path, small(name=f"s{len(objectives)}", objectives=objectives))
        best, *_ = study_document(known, "table", top=9)
        at = best.columns.index("epochs")
        assert best.columns[at + 1] == "of"
        assert {row[at + 1] for row in best.rows} == {4}
        assert 2 in {row[at] for row in best.rows}
        assert "returned early" in best.note
        ended = next(t for t in study_document(known, "table", top=9) if t.title == "how trials ended")
        assert dict(zip(ended.columns, ended.rows[0], strict=True))["returned early"] == 2
        (row,) = known.trials[known.trials["number"] == 0].to_dict("records")
        page = texts(trial_tables(facts_of(known.rows, 0, study="s"), metric="score"))
        assert ("2 of 4" in page) == (row["epochs"] == 2)


def test_no_table_speaks_of_early_ends_where_there_is_none(tmp_path: Path) -> None:
    known = trained(tmp_path, small(space=Space(Integer("width", 1, 2), Choice("stop", (4,))), trials=2))
    tables = study_document(known, "table", top=9)
    assert "of" not in tables[0].columns
    assert "early" not in texts(tables)


@pytest.mark.parametrize("name", OURS)
def test_a_param_of_own_training_with_a_name_of_ours_is_a_factor_like_any_other(
    tmp_path: Path, name: str
) -> None:
    def reads(params: dict[str, Any], run: Any) -> dict[str, object]:
        return {"score": params[name] + params["width"]}

    study = small(
        space=Space(Integer("width", 1, 2), Integer(name, 1, 3)),
        train=reads,
        objectives=(Maximize("score"),),
        cost=None,
        trials=6,
        epochs=1,
    )
    known = trained(tmp_path, study)
    (cells,) = report_document(known, "json")
    assert len(cells.rows) == 6
    assert cells.rows[0][:2] == (2, 3)
    (levels,) = report_document(known, "json", by=[name])
    assert [row[0] for row in levels.rows] == [3, 2, 1]
    assert len(set(cells.columns)) == len(cells.columns)
    texts(report_document(known, "table"))
    assert [row[1] for row in searched_table(study).rows] == ["1 to 2", "1 to 3"]


def test_a_grid_balances_a_param_called_repeat(tmp_path: Path) -> None:
    """In a shipped study the first half of the grid has a single value of it."""
    study = small(
        space=Space(Integer("width", 1, 2), Integer("repeat", 1, 4)), train=lambda p, run: {"score": 1.0},
        objectives=(Maximize("score"),), cost=None, epochs=1, trials=4,
    )  # fmt: skip
    params = [json.loads(text) for text in trained(tmp_path, study).trials["params"]]
    assert {p["repeat"] for p in params} == {1, 2, 3, 4}


def test_a_recipe_of_own_training_shows_its_epochs_beside_a_param_of_that_name(tmp_path: Path) -> None:
    study = small(
        space=Space(Integer("epochs", 7, 8)), train=lambda p, run: {"score": 1.0},
        objectives=(Maximize("score"),), cost=None, epochs=1, trials=1,
    )  # fmt: skip
    tables = trial_tables(facts_of(trained(tmp_path, study).rows, 0, study="s"), metric="score")
    (recipe,) = [table for table in tables if table.title == "the rest of the recipe"]
    assert dict(recipe.rows)["epochs"] == "1"


@pytest.mark.parametrize("name", OURS)
def test_parameter_of_any_name_has_a_pivot_and_is_drawn(name: str, tmp_path: Path) -> None:
    space = Space(Choice("width", (1, 2)), Choice("stop", (4,)), Choice(name, (1, 2)))
    known = trained(tmp_path, small(space=space))
    table = pivot_document(known, "markdown", [name, "width"])
    assert [row[0] for row in table.rows] == ["1", "2"]
    seen = Seen.of(known)
    assert [parameter["name"] for parameter in seen.searched] == ["width", name]
    assert {params[name] for params in seen.params.values()} == {1, 2}


def test_a_long_text_is_cut_for_people_and_whole_for_programs(tmp_path: Path) -> None:
    said = "abcdefghij" * 100

    def talks(params: dict[str, Any], run: Any) -> Iterator[dict[str, object]]:
        yield {"score": 1.0, "said": said}

    space = Space(Choice("width", (said, "narrow")))
    study = small(space=space, train=talks, objectives=Maximize("score"), cost=None, trials=2, epochs=1)
    known = trained(tmp_path, study)
    text = texts(study_document(known, "table", top=9))
    cut = f"{said[:37]}..."
    assert f"said={cut}" in text
    assert f"width={cut}" in text
    assert said[:41] not in text
    for form in ("json", "csv"):
        assert "".join(render(table, form) for table in study_document(known, form, top=9)).count(said) >= 3
    assert said in "".join(texts(trial_tables(facts_of(known.rows, 0, study="s"), metric="score")).split())
