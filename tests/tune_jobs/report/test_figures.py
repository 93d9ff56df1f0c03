"""Figures are made of any rows, hold what they draw, and say why where there is nothing to draw."""

from __future__ import annotations

import builtins
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from figures_testing import EPOCHS, MARKUP, a_study, seen_of

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.training.recipe import Recipe
from tune_jobs import Choice, Integer, Maximize, Space, State, Study, TuneJobsError, When
from tune_jobs.analysis.false_stops import FalseStops
from tune_jobs.report.figures.catalog import FIGURES, figure_of
from tune_jobs.report.figures.complete_curves import false_stops_of
from tune_jobs.report.figures.drawing import can_draw, draw_svg
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.heat_map import _digits
from tune_jobs.report.figures.marks import distinct_texts, prefixed
from tune_jobs.report.figures.ranges import range_of
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.figures.slices import _strength, by_strength
from tune_jobs.report.figures.thinning import sampled, spread, thinned
from tune_jobs.report.findings import STOPPED, findings_of
from tune_jobs.search.importance import count_best
from tune_jobs.study.method import SamplerName
from tune_jobs.study.parameters import Parameter
from tune_jobs.study.rows import ReportRow, Row, TrialRow
from tune_jobs.testing.rows import numbered, report_row, start_row, trial_row

needs_library = pytest.mark.skipif(not can_draw(), reason="the extra figures is not installed")


@pytest.fixture(scope="module")
def seen() -> Seen:
    return seen_of(60)


def drawn(seen: Seen, name: str) -> Figure:
    found = figure_of(seen, name)
    assert isinstance(found, Figure), found
    return found


SHAPES = {
    "no trial": {"num_trials": 0},
    "one trial": {"num_trials": 1, "state": State.COMPLETED},
    "all failed": {"num_trials": 4, "state": State.FAILED},
    "all stopped": {"num_trials": 4, "state": State.STOPPED},
    "one parameter": {"num_trials": 20, "parameters": 1},
    "sixty parameters": {"num_trials": 30, "parameters": 60},
    "four objectives": {"num_trials": 20, "objectives": 4},
    "no rungs": {"num_trials": 20, "rungs": False, "state": State.COMPLETED},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_figure_is_made_or_says_why(shape: str) -> None:
    seen = seen_of(**SHAPES[shape])  # type: ignore[arg-type]  # as each shape names them
    for name in FIGURES:
        found = figure_of(seen, name)
        assert found.name == name
        if isinstance(found, Undrawn):
            assert found.why
        else:
            assert found.table.rows
            assert found.how.endswith(".")
            assert found.alt.endswith(".")
            json.dumps(found.spec(), allow_nan=False)


def test_history_has_the_best_so_far(seen: Seen) -> None:
    table = drawn(seen, "history").table
    best, bests = None, []
    for row in seen.scored:
        if best is None or row.objective > best:  # type: ignore[operator]  # `scored` has a value
            best = row.objective
            bests.append((row.number, best))
    assert [row[:2] for row in table.rows] == bests
    spent = table.rows[-1][2:]
    last = bests[-1][0]
    epochs = sum(row.epochs for row in seen.ends if row.number <= last)
    assert spent == (last + 1, epochs, float(epochs))


def test_rungs_count_their_decisions(seen: Seen) -> None:
    rows = drawn(seen, "rungs").table.rows
    stopped = [row for row in seen.ends if row.state is State.STOPPED]
    assert [(row[0], row[2]) for row in rows] == [
        (rung, sum(row.epochs == rung for row in stopped)) for rung in (1, 3)
    ]


def test_rungs_of_complete_curves_say_how_many_good_trials_they_would_stop() -> None:
    seen = seen_of(40, rungs=False, state=State.COMPLETED)
    figure = drawn(seen, "rungs")
    assert figure.title.startswith("What rungs would have stopped")
    judged = false_stops_of(seen)
    assert isinstance(judged, FalseStops)
    assert [(row[0], row[1], row[2]) for row in figure.table.rows] == [
        (epoch, judged.reached[epoch], judged.stopped[epoch]) for epoch in (1, 3)
    ]
    assert {row[-1] for row in figure.table.rows} == {40}  # ranks are over all trials
    rate = f"The false-stop rate is {judged.rate:.0%} ({judged.num_missed} of {judged.num_whole}; 40 complete"
    assert figure.notes[-1].startswith(rate)
    assert "rungs after epochs 1 and 3; of 3 trials about 1 continues" in figure.notes[-1]
    assert figure.notes[-1] in findings_of(seen).parts[STOPPED]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"num_trials": 20}, "no complete curve"),
        ({"num_trials": 4, "rungs": False, "state": State.COMPLETED}, "the study has 4"),
        ({"num_trials": 9, "rungs": False, "state": State.FAILED}, "the study has 0"),
        ({"num_trials": 9, "rungs": False, "objectives": 2, "state": State.COMPLETED}, "no single order"),
    ],
)
def test_false_stop_rate_that_is_not_known_says_why(changes: dict[str, Any], why: str) -> None:
    seen = seen_of(**changes)
    (line,) = [line for line in findings_of(seen).parts[STOPPED] if "false-stop rate" in line]
    assert line.startswith("The false-stop rate is not known: ")
    assert why in line


def test_metric_of_the_last_epoch_alone_has_no_complete_curve() -> None:
    """Such as the test accuracy of finalists, which no rung compares."""
    seen = seen_of(9, rungs=False, state=State.COMPLETED)
    last = [
        replace(row, metrics="{}") if isinstance(row, ReportRow) and row.epoch < EPOCHS else row
        for row in seen.rows
    ]
    assert "the study has 0" in str(false_stops_of(replace(seen, rows=last)))


def test_words_of_curves_name_rungs_only_where_there_are_any() -> None:
    with_rungs, without = (drawn(seen_of(9, state=State.COMPLETED, rungs=r), "curves") for r in (True, False))
    assert "rungs" in with_rungs.title
    assert "rung" in with_rungs.how
    assert "rung" not in f"{without.title} {without.how} {without.alt}"


def test_importance_finds_the_parameter_that_decides(seen: Seen) -> None:
    from tune_jobs.study.json_fields import params_from_json
    from tune_jobs.study.rows import TrialRow

    def value_of(params: str) -> float:
        return float(params_from_json(params)["p1"])  # type: ignore[arg-type]  # a number

    decided = [
        replace(row, objective=value_of(row.params), objectives=json.dumps({"iou": value_of(row.params)}))
        if isinstance(row, TrialRow) and row.objective is not None
        else row
        for row in seen.rows
    ]
    changed = Seen(name=seen.name, definition=seen.definition, rows=decided)
    figure = drawn(changed, "importance")
    assert figure.table.rows[0][0] == "p1"
    assert "Early stopping" in figure.notes[0]
    assert drawn(changed, "slices").table.rows[0][0] == "p1"


def test_front_is_drawn_with_its_limit() -> None:
    seen = seen_of(30, objectives=2)
    other = seen.objectives[1].metric
    definition = {**seen.definition, "limits": {**seen.definition["limits"], "own": [[other, None, 0.5]]}}
    limited = Seen(name=seen.name, definition=definition, rows=seen.rows)
    layers = drawn(limited, "front").panels[0]["layer"]
    assert layers[-1]["data"]["values"] == [{"v1": 0.5}]


def test_unknown_figure_lists_the_known(seen: Seen) -> None:
    with pytest.raises(UnknownNameError, match=r"history.*curves|curves.*history"):
        figure_of(seen, "historie")


@needs_library
@pytest.mark.parametrize("name", ["history", "curves", "heat_map", "rungs", "timeline"])
def test_picture_holds_no_markup_of_a_user(seen: Seen, name: str) -> None:
    svg = drawn(seen, name).svg()
    assert "<script" not in svg
    assert svg.startswith('<svg role="img" aria-label="')


@needs_library
def test_marks_have_titles_and_labels_keep_small_numbers() -> None:
    spec = {
        "data": {"values": [{"x": 0.00125, "tip": "<b> & 0.123456"}, {"x": 0.0025, "tip": "b"}]},
        "mark": {"type": "circle", "aria": True},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "axis": {"values": [0.00125], "format": ".5f"}},
            "description": {"field": "tip"},
        },
    }
    svg = draw_svg(spec, alt='a "text"')
    assert "<title>&lt;b&gt; &amp; 0.123456</title>" in svg
    assert ">0.00125<" in svg
    assert 'aria-label="a &quot;text&quot;"' in svg


@needs_library
def test_save_writes_both_forms(seen: Seen, tmp_path: Path) -> None:
    figure = drawn(seen, "ledger")
    assert figure.save(tmp_path / "a.svg").read_text().startswith("<svg")
    assert figure.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InvalidValueError, match=r"\.svg or a \.png file, got 'a.pdf'"):
        figure.save(tmp_path / "a.pdf")
    assert figure._repr_mimebundle_()["image/svg+xml"] == figure.svg()


def test_without_the_extra_the_command_is_named(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(TuneJobsError, match=r"pip install 'tune-jobs\[figures\]'"):
        drawn(seen, "ledger").svg()
    (text,) = drawn(seen, "ledger")._repr_mimebundle_().values()  # no traceback below a notebook's cell
    assert text.endswith("figures need a package: pip install 'tune-jobs[figures]'")


def test_making_a_figure_needs_no_library(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = builtins.__import__

    def refuse(name: str, *args: Any, **words: Any) -> Any:
        assert name != "vl_convert"
        return inner(name, *args, **words)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert drawn(seen, "curves").spec()["data"]["values"]


def test_thinned_keeps_the_extent() -> None:
    items = [(x / 5000, (x * 7919 % 5000) / 5000) for x in range(5000)]
    kept = thinned(items, lambda item: item, most=300)
    assert 100 < len(kept) <= 300
    assert min(x for x, _ in kept) < 0.1
    assert max(x for x, _ in kept) > 0.9
    assert kept == sorted(kept)
    assert thinned(items[:10], lambda item: item) == items[:10]


def test_spread_has_both_ends() -> None:
    assert spread(range(100), 4) == [0, 33, 66, 99]
    assert spread([1, 2], 4) == [1, 2]


def test_range_leaves_outliers_out_on_the_worse_side() -> None:
    values = [0.1, 0.2, 0.2, 0.3, 0.4, 0.2, 0.3, 1e9]
    axis = range_of(values, 1.0)
    assert axis.low < 0.1
    assert 0.4 < axis.high < 10
    assert [value for value in values if axis.is_beyond(value)] == [1e9]
    assert range_of([0.5], Maximize("iou").direction.sign).low < 0.5
    few = range_of([1.0, 0.001, 1e6], 1.0)
    assert not any(map(few.is_beyond, [1.0, 0.001, 1e6]))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("history", "1 trial far worse (0.101) lies beyond the axis"),
        ("slices", "1 trial far worse (0.101) lies beyond the axis"),
        ("curves", "1 last report far worse (0.101) lies beyond the axis"),
    ],
)
@pytest.mark.parametrize("scale", [1.0, -1.0])
def test_trial_that_is_far_worse_is_a_triangle_at_the_edge(name: str, words: str, scale: float) -> None:
    seen = with_values([0.9, 0.95, 0.93, 0.94, 0.101, 0.92])
    if scale < 0:  # smaller is better, of the negative values
        definition = {**seen.definition, "objectives": [{"metric": "iou", "direction": "minimize"}]}
        seen = replace(with_values([-0.9, -0.95, -0.93, -0.94, -0.101, -0.92]), definition=definition)
        words = words.replace("0.101", "-0.101")
    figure = drawn(seen, name)
    assert sum(note.startswith(words) for note in figure.notes) == 1
    beyond = [value for value in figure.values if str(value.get("kind", "")).startswith("beyond")]
    assert beyond
    assert all("trial 4: " in value["tip"] for value in beyond)
    edge = {value.get("edge", value["y"]) for value in beyond}
    for panel in figure.panels:
        (triangle,) = [part for part in panel["layer"] if part["mark"]["type"] == "point"]
        assert triangle["mark"]["shape"] == ("triangle-down" if scale > 0 else "triangle-up")
        assert edge == {triangle["encoding"]["y"]["scale"]["domain"][0 if scale > 0 else 1]}
    dots = [value for value in figure.values if str(value.get("kind", "")).startswith(("trial", "p", "end"))]
    assert len(dots) == 5 * len(beyond)
    if can_draw():
        assert figure.svg().count("trial 4: ") == len(beyond) * (3 if name == "history" else 1)


def with_values(values: Sequence[float]) -> Seen:
    """A study of completed trials with these values in each of their epochs."""
    found = seen_of(len(values), rungs=False, state=State.COMPLETED)
    rows: list[Row] = []
    for row in found.rows:
        if isinstance(row, ReportRow):
            row = replace(row, metrics=json.dumps({"iou": values[row.number]}))
        elif isinstance(row, TrialRow):
            value = values[row.number]
            row = replace(row, objective=value, objectives=json.dumps({"iou": value}))
        rows.append(row)
    return replace(found, rows=rows)


def test_hostile_level_is_in_the_data(seen: Seen) -> None:
    assert any(MARKUP in str(row) for row in drawn(seen, "slices").table.rows)


def of_levels(*parameters: Parameter, value_of: Callable[[int], float] = float) -> Seen:
    """A completed trial for each combination of values; its objective follows from its number."""
    space = Space(*parameters)
    names = [parameter.name for parameter in parameters]
    rows: list[Row] = []
    for number, values in enumerate(product(*(parameter.grid() or () for parameter in parameters))):
        params = dict(zip(names, values, strict=True))
        objective = value_of(number)
        text = json.dumps({"iou": objective})
        ended = trial_row(number, params=params, study="drawn", objective=objective, objectives=text)
        rows += [start_row(number, params, study="drawn"), ended]
    definition = replace(a_study(), space=space).definition()
    return Seen(name="drawn", definition=json.loads(json.dumps(definition)), rows=numbered(*rows))


LONG = "a network with a name of many characters, which ends in "


@pytest.mark.parametrize(
    "parameter",
    [
        Integer("width", 1000, 1010, step=2),
        Choice("width", (0.12341, 0.12342)),
        Choice("width", (f"{LONG}one", f"{LONG}two")),
        Choice("width", tuple(range(20))),
    ],
)
def test_levels_that_look_alike_are_never_one(parameter: Parameter) -> None:
    values = parameter.grid() or ()
    seen = of_levels(Choice("down", ("a", "b")), parameter)
    heat_map = drawn(seen, "heat_map")
    assert [row[2] for row in heat_map.table.rows] == [1] * (2 * len(values))
    encoding = heat_map.panels[0]["layer"][0]["encoding"]
    shown = [encoding[axis]["scale"]["domain"] for axis in ("x", "y")]
    assert {len(levels) for levels in shown} == {2, min(16, len(values))}
    assert all(
        value[axis] in levels for value in heat_map.values for axis, levels in zip("xy", shown, strict=True)
    )
    assert max(value["mean"] for value in heat_map.values) == max(row.objective or 0 for row in seen.scored)
    assert bool(heat_map.notes) is (len(values) > 16)
    places = {v["x"] for v in drawn(seen, "slices").values if v["x"] not in ("a", "b")}
    assert len(places) == len(values)
    lines = {v["y"] for v in drawn(seen, "parallel").values if v["x"] == "width"}
    assert len(lines) == len(values)


def test_names_of_levels_differ_in_what_an_axis_shows() -> None:
    """The drawing cuts names at 160 pixels, some 27 letters."""
    texts = distinct_texts([f"{LONG[:30]} {number}" for number in range(200)])
    assert len({text[:26] for text in texts.values()}) == 200
    assert all(len(text) <= 26 for text in texts.values())


def test_levels_have_short_texts_where_these_differ() -> None:
    assert distinct_texts((0.1, 0.000123456)) == {0.1: "0.1", 0.000123456: "0.0001235"}
    assert list(distinct_texts((True, False)).values()) == ["True", "False"]


def test_slices_draw_each_level_of_a_large_grid_in_the_order_of_the_space() -> None:
    """Every second trial of a grid has the same level."""
    levels = ("c", "a", "b", "d")
    seen = of_levels(Choice("outer", tuple(range(100))), Choice("inner", levels))
    figure = drawn(seen, "slices")
    place = [panel["layer"][0]["encoding"]["x"]["title"] for panel in figure.panels].index("inner")
    assert {v["x"] for v in figure.values if v["kind"] == f"p{place}"} == set(levels)
    assert figure.panels[place]["layer"][0]["encoding"]["x"]["scale"]["domain"] == list(levels)


def test_lot_of_trials_leaves_no_level_of_a_grid_out() -> None:
    numbers = list(range(2000))
    drawn_by_lot = sampled(numbers, 1000)
    assert len(drawn_by_lot) == 1000
    assert drawn_by_lot == sorted(set(drawn_by_lot)) == sampled(numbers, 1000)
    assert {number % 2 for number in drawn_by_lot} == {0, 1}
    assert sampled([2, 1], 2) == [2, 1]


def test_number_of_a_repeat_is_no_parameter_that_matters() -> None:
    space = Space(Integer("repeat", 1, 3), Choice("optimizer", ("sgd", "adam")))
    study = Study(
        name="drawn",
        space=space,
        recipe=Recipe(learning_rate=0.1, epochs=3),
        asha=None,
        sampler=SamplerName.GRID,
    )
    rows: list[Row] = []
    for number in range(12):
        params = {"repeat": number % 3 + 1, "optimizer": ("sgd", "adam")[number % 2]}
        value = number % 2 + number / 100
        rows += [
            start_row(number, params, study="drawn"),
            trial_row(number, params=params, study="drawn", objective=value),
        ]
    seen = Seen(name="drawn", definition=json.loads(json.dumps(study.definition())), rows=numbered(*rows))
    assert drawn(seen, "importance").table.rows == (("optimizer", 1.0),)


def test_networks_of_equal_macs_have_no_front() -> None:
    space = Space(Choice("optimizer", ("sgd", "adam")))
    definition = json.loads(
        json.dumps(Study(name="drawn", space=space, recipe=Recipe(learning_rate=0.1, epochs=3)).definition())
    )

    def front_of(*macs: int) -> Figure | Undrawn:
        end = {"objective": 0.5, "objectives": '{"val_accuracy": 0.5}', "study": "drawn"}
        ends = [trial_row(n, params={"optimizer": "sgd"}, macs=m, **end) for n, m in enumerate(macs)]
        return figure_of(Seen(name="drawn", definition=definition, rows=numbered(*ends)), "front")

    assert isinstance(front_of(1000, 2000), Figure)
    equal = front_of(1000, 1000)
    assert isinstance(equal, Undrawn)
    assert "different MACs" in equal.why


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((0.61, 0.0934), ["0.610", "0.093"]),
        ((12.3, 4.0), ["12.3", "4.0"]),
        ((1e-7, 2e-7), ["1e-07", "2e-07"]),
    ],
)
def test_means_of_cells_have_equal_decimals(values: tuple[float, ...], texts: list[str]) -> None:
    digits = _digits(values)
    assert [f"{value:{digits}}" for value in values] == texts


@pytest.mark.parametrize("better", [0, 1])
def test_values_that_are_equal_make_no_parameter_important(better: int) -> None:
    """The best tenth would be all trials: Optuna warns, and calls all parameters equally important."""
    levels = (1, 2, 3, 4)
    found = figure_of(
        of_levels(Choice("a", levels), Choice("b", levels), value_of=lambda n: 1.0 if n < better else 0.5),
        "importance",
    )
    assert isinstance(found, Undrawn)
    assert found.why == (
        "nearly all completed trials have the same iou, so no best tenth differs from the rest"
    )


def test_curve_of_a_redone_epoch_is_what_its_rung_compared() -> None:
    params = {"optimizer": "sgd", "p0": 0.1, "p1": 0.1}
    reports = [
        report_row(0, epoch, attempt=attempt, study="drawn", metrics=json.dumps({"iou": value}))
        for attempt, epoch, value in ((1, 1, 0.25), (1, 2, 0.5), (2, 2, 0.75), (2, 3, 1.0))
    ]
    rows = numbered(start_row(0, params, study="drawn"), *reports)
    found = Seen(name="drawn", definition=json.loads(json.dumps(a_study().definition())), rows=rows)
    assert [row[2:] for row in drawn(found, "curves").table.rows] == [(1, 0.25), (2, 0.5), (3, 1.0)]


def test_parameters_whose_names_begin_alike_are_never_one() -> None:
    long = "a_parameter_with_a_name_that_has_more_characters_than_an_axis_"
    levels = (1, 2, 3, 4)
    seen = of_levels(Choice(f"{long}one", levels), Choice(f"{long}two", levels))
    assert len({value["parameter"] for value in drawn(seen, "importance").values}) == 2
    assert len({value["x"] for value in drawn(seen, "parallel").values}) == 2


def test_parameter_of_one_value_is_not_drawn() -> None:
    seen = of_levels(Integer("one", 3, 3), Choice("single", ("a",)), Choice("b", (1, 2)), Integer("c", 1, 9))
    assert [parameter["name"] for parameter in seen.searched] == ["b", "c"]
    assert drawn(seen, "heat_map").table.columns[:2] == ("c", "b")


def test_strength_of_a_range_counts_equal_values_together() -> None:
    """The values of `few` say nothing, and those of `decides` all."""
    few, decides = Integer("few", 1, 2), Integer("decides", 1, 20)
    seen = of_levels(few, decides, value_of=lambda number: number % 20)
    assert [parameter["name"] for parameter in by_strength(seen)] == ["decides", "few"]
    places = {row.number: place for place, row in enumerate(seen.ranked)}
    assert _strength(seen, seen.searched[0], places) < 0.01


@pytest.mark.filterwarnings("error")
def test_importance_of_a_conditional_parameter_is_without_a_word() -> None:
    rows: list[Row] = []
    for number in range(12):
        params: dict[str, Any] = {"head": "deep" if number else "plain", "width": number}
        params |= {"depth": number} if number else {}
        value = {"iou": float(number)}
        rows.append(start_row(number, params, study="drawn"))
        ended = {"objective": value["iou"], "objectives": json.dumps(value)}
        rows.append(trial_row(number, params=params, study="drawn", **ended))
    depth = Integer("depth", 0, 20, when=When("head", ("deep",)))
    space = Space(Choice("head", ("plain", "deep")), Integer("width", 0, 20), depth)
    definition = replace(a_study(), space=space).definition()
    seen = Seen(name="drawn", definition=json.loads(json.dumps(definition)), rows=numbered(*rows))
    assert {row[0] for row in drawn(seen, "importance").table.rows} == {"head", "width", "depth"}


@pytest.mark.parametrize(("count", "best", "warns"), [(12, 2, True), (40, 4, True), (60, 6, False)])
def test_importance_says_how_many_trials_are_the_best_tenth(count: int, best: int, warns: bool) -> None:
    seen = seen_of(count, rungs=False, state=State.COMPLETED)
    figure = drawn(seen, "importance")
    assert f"({best} of {count})" in figure.how
    assert any(f"The best tenth is {best} trials" in note for note in figure.notes) is warns


def test_best_tenth_counts_ties_as_optuna_does() -> None:
    assert count_best([0.9, 0.9, 0.9, *[0.1] * 9], -1.0) == 3
    assert count_best([0.9], 1.0) == 1


@needs_library
def test_axis_of_large_numbers_begins_at_a_plain_0() -> None:
    values = [{"x": 0}, {"x": 200_000}]
    x = {"field": "x", "type": "quantitative", "axis": prefixed(6)}
    svg = draw_svg({"data": {"values": values}, "mark": "point", "encoding": {"x": x}}, alt="")
    assert ">0<" in svg
    assert ">0k<" not in svg
    assert ">200k<" in svg
