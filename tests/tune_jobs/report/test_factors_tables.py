"""Tables of factors, cells and correlations on rows whose answers are known by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import pandas as pd
import pytest
from scipy.stats import ttest_ind, ttest_rel

from tune_jobs.analysis.factors import Design, design_of, read_outcomes
from tune_jobs.inputs.shipped import digits_recipes, lab_mnist
from tune_jobs.report import factors
from tune_jobs.report.factors import cells_table, correlations_table, factor_table
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Choice, Constant, Integer, Parameter, When
from tune_jobs.study.space import Space

GRID = lab_mnist().with_changes(
    space=Space(
        Integer("repeat", 1, 2),
        Choice("optimizer", ("sgd", "adam")),
        Choice("learning_rate", (0.01, 0.1, 1.0)),
        Constant("momentum", 0.9),
    )
)


def frame(*trials: tuple[dict[str, Any], float | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "number": range(len(trials)),
            "state": ["failed" if value is None else "completed" for _, value in trials],
            "params": [json.dumps(params) for params, _ in trials],
            "objective": pd.Series([value for _, value in trials], dtype="float64"),
        }
    )


def grid_frame(values: Mapping[tuple[str, float], tuple[float | None, float | None]]) -> pd.DataFrame:
    trials = []
    for (optimizer, rate), seeds in values.items():
        for repeat, value in enumerate(seeds, start=1):
            params = {"repeat": repeat, "optimizer": optimizer, "learning_rate": rate, "momentum": 0.9}
            trials.append((params, value))
    return frame(*trials)


VALUES = {
    ("sgd", 0.01): (0.50, 0.52),
    ("sgd", 0.1): (0.80, 0.84),
    ("sgd", 1.0): (0.10, 0.12),
    ("adam", 0.01): (0.60, 0.64),
    ("adam", 0.1): (0.90, 0.90),
    ("adam", 1.0): (0.20, 0.24),
}


def test_cells_are_means_over_seeds_the_best_first() -> None:
    table = cells_table(read_outcomes(grid_frame(VALUES)), design_of(GRID.definition()))
    assert len(table.rows) == 6
    assert table.columns == ("optimizer", "learning_rate", "n", "failed", "val_accuracy", "low", "high")
    assert table.rows[0][:5] == ("adam", 0.1, 2, 0, 0.9)
    second = table.rows[1]
    assert second[:5] == ("sgd", 0.1, 2, 0, pytest.approx(0.82))
    half = 12.706 * 0.028284 / 2**0.5  # t of one degree of freedom, sd of (0.80, 0.84)
    assert second[5] == pytest.approx(0.82 - half, abs=1e-3)
    assert 0.82 + half > second[6] == 1.0  # no accuracy is above 1
    assert len(cells_table(read_outcomes(grid_frame(VALUES)), design_of(GRID.definition()), 2).rows) == 2


def test_cell_whose_trials_failed_is_last_and_counted() -> None:
    values = {**VALUES, ("adam", 0.1): (None, None), ("sgd", 1.0): (None, 0.12)}
    table = cells_table(read_outcomes(grid_frame(values)), design_of(GRID.definition()))
    assert table.rows[-1][:5] == ("adam", 0.1, 0, 2, None)
    assert (1, 1, 0.12) in [row[2:5] for row in table.rows]


def test_levels_are_compared_within_the_cells_that_they_share() -> None:
    """Adam is better by 0.11, 0.08 and 0.11: a paired t over three rates, not over twelve trials."""
    table = factor_table(read_outcomes(grid_frame(VALUES)), design_of(GRID.definition()), "optimizer")
    best, other = table.rows
    assert best[:5] == ("adam", 6, 0, pytest.approx(0.58), pytest.approx(0.9))
    assert other[:5] == ("sgd", 6, 0, pytest.approx(0.48), pytest.approx(0.82))
    half = 4.3027 * 0.0173205 / 3**0.5
    assert other[5:8] == (
        pytest.approx(-0.10),
        pytest.approx(-0.10 - half, abs=1e-4),
        pytest.approx(-0.10 + half, abs=1e-4),
    )
    assert other[9] == "significant"
    rates = factor_table(read_outcomes(grid_frame(VALUES)), design_of(GRID.definition()), "learning_rate")
    assert [row[0] for row in rates.rows] == [0.1, 0.01, 1.0]


def test_differences_of_levels_are_one_text_for_people() -> None:
    table = factor_table(read_outcomes(grid_frame(VALUES)), design_of(GRID.definition()), "optimizer")
    shown = factors.for_people(table)
    assert shown.columns == ("optimizer", "n", "val_accuracy", "best", "difference")  # none failed
    assert shown.below == ("difference",)
    assert shown.rows[0][-1] is None
    cells = dict(zip(table.columns, table.rows[1], strict=True))
    text = f"{cells['difference']:.4f} [{cells['diff_low']:.4f}, {cells['diff_high']:.4f}], p "
    assert str(shown.rows[1][-1]).startswith(f"less the best: {text}")
    assert str(shown.rows[1][-1]).endswith(str(cells["verdict"]))


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
def test_a_level_that_failed_where_others_did_badly_is_not_the_best_for_that(metric: str) -> None:
    """RMSprop has no trial at the rate that is hard for all: the best mean, and each cell worse."""
    values = {
        ("rmsprop", 0.01): (0.90, 0.91),
        ("rmsprop", 0.1): (0.88, 0.89),
        ("rmsprop", 1.0): (None, None),
        ("sgd", 0.01): (0.94, 0.95),
        ("sgd", 0.1): (0.93, 0.93),
        ("sgd", 1.0): (0.30, 0.31),
        ("adam", 0.01): (0.91, 0.92),
        ("adam", 0.1): (0.90, 0.91),
        ("adam", 1.0): (0.10, None),
    }
    if metric == "val_loss":
        values = {k: tuple(None if v is None else 1 - v for v in seeds) for k, seeds in values.items()}
    design = design_of(GRID.with_changes(objectives=(Objective(metric=metric),)).definition())
    sign = 1 if metric == "val_accuracy" else -1
    table = factor_table(read_outcomes(grid_frame(values)), design, "optimizer")
    assert [(row[0], row[1], row[2]) for row in table.rows] == [
        ("sgd", 6, 0),
        ("adam", 5, 1),
        ("rmsprop", 4, 2),
    ]
    assert [row[5] for row in table.rows[1:]] == [
        pytest.approx(sign * -(0.03 + 0.025 + 0.205) / 3),
        pytest.approx(sign * -0.0425),
    ]
    assert "the order is by cells in common" in table.note
    assert factor_table(read_outcomes(grid_frame(VALUES)), design, "optimizer").note == ""


def test_smaller_losses_are_better() -> None:
    study = GRID.with_changes(objectives=(Objective(metric="val_loss"),))
    table = factor_table(read_outcomes(grid_frame(VALUES)), design_of(study.definition()), "optimizer")
    assert table.rows[0][0] == "sgd"
    assert table.rows[0][4] == pytest.approx(0.11)


def test_levels_without_a_common_cell_cannot_be_judged() -> None:
    values = {("sgd", 0.01): (0.5, 0.6), ("adam", 0.1): (0.8, 0.9)}
    table = factor_table(read_outcomes(grid_frame(values)), design_of(GRID.definition()), "optimizer")
    assert table.rows[1][5:] == (pytest.approx(-0.3), None, None, None, "cannot be judged")


def one_factor(*parameters: Parameter) -> Design:
    space = Space(Choice("optimizer", ("sgd", "sgd_momentum", "adam")), *parameters, Integer("repeat", 1, 4))
    return design_of(lab_mnist().with_changes(space=space).definition())


SEEDS = {"adam": (0.812, 0.830, 0.803, 0.822), "sgd": (0.794, 0.789, 0.806, 0.801)}


def seeds_frame(values: Mapping[str, tuple[float | None, ...]], **others: Any) -> pd.DataFrame:
    return frame(
        *(
            ({"optimizer": name, "repeat": n, **others.get(name, {})}, value)
            for name, seeds in values.items()
            for n, value in enumerate(seeds, start=1)
        )
    )


def test_grid_of_one_factor_is_judged_over_its_seeds() -> None:
    """Its levels are single cells: of a difference within cells there is one, of seeds there are four."""
    table = factor_table(read_outcomes(seeds_frame(SEEDS)), one_factor(), "optimizer")
    best, other = table.rows
    expected = ttest_ind(SEEDS["sgd"], SEEDS["adam"], equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert best[0] == "adam"
    assert other[5:8] == (
        pytest.approx(fmean(SEEDS["sgd"]) - fmean(SEEDS["adam"])),
        pytest.approx(interval.low),
        pytest.approx(interval.high),
    )
    assert other[8] == pytest.approx(expected.pvalue)
    assert 0.02 < other[8] < 0.05
    assert other[9] == "significant"
    assert "Welch's t over seeds" in table.title


def test_three_levels_of_one_factor_are_corrected_together_and_single_seeds_are_not_judged() -> None:
    values = {**SEEDS, "sgd_momentum": (0.700, 0.720, 0.710, 0.690)}
    table = factor_table(read_outcomes(seeds_frame(values)), one_factor(), "optimizer")
    pairs = [("sgd", "adam"), ("sgd_momentum", "adam"), ("sgd_momentum", "sgd")]
    p_values = [float(ttest_ind(values[a], values[b], equal_var=False).pvalue) for a, b in pairs]
    assert {row[0]: row[8] for row in table.rows[1:]} == {
        "sgd": pytest.approx(max(p_values)),  # the largest of three is multiplied by one
        "sgd_momentum": pytest.approx(min(p_values) * (3 if p_values[1] == min(p_values) else 2)),
    }
    once = {name: seeds[:1] for name, seeds in SEEDS.items()}
    single = factor_table(read_outcomes(seeds_frame(once)), one_factor(), "optimizer")
    assert single.rows[1][6:] == (None, None, None, "cannot be judged")


def test_what_comes_with_one_level_keeps_no_level_from_being_compared() -> None:
    """SGD's momentum is no cell of its own that Adam lacks."""
    momentum = Constant("momentum", 0.9, when=When("optimizer", ("sgd_momentum",)))
    values = {"adam": SEEDS["adam"], "sgd_momentum": SEEDS["sgd"]}
    given = {"sgd_momentum": {"momentum": 0.9}}
    table = factor_table(read_outcomes(seeds_frame(values, **given)), one_factor(momentum), "optimizer")
    expected = ttest_ind(SEEDS["sgd"], SEEDS["adam"], equal_var=False)
    assert table.rows[1][8] == pytest.approx(expected.pvalue)
    rates = Choice("learning_rate", (0.1, 0.2, 0.3))
    trials = [
        ({"optimizer": name, "learning_rate": rate, **given.get(name, {})}, value)
        for name, of_rates in values.items()
        for rate, value in zip((0.1, 0.2, 0.3), of_rates, strict=False)
    ]
    design = one_factor(momentum, rates)
    paired = factor_table(read_outcomes(frame(*trials)), design, "optimizer").rows[1]
    assert paired[8] == pytest.approx(ttest_rel(SEEDS["sgd"][:3], SEEDS["adam"][:3]).pvalue)


def test_adaptive_search_is_described_and_not_tested() -> None:
    study = digits_recipes()
    rows = [
        ({"optimizer": name, "learning_rate": 10.0**-k}, 0.9 - k / 10)
        for k in range(1, 6)
        for name in ("sgd", "adam")
    ]
    outcomes, design = read_outcomes(frame(*rows)), design_of(study.definition())
    table = factor_table(outcomes, design, "optimizer")
    assert table.columns == ("optimizer", "n", "failed", "val_accuracy", "best")
    assert "biased" in table.title
    correlations = correlations_table(outcomes, design)
    assert correlations.rows == (("learning_rate", 10, pytest.approx(1.0)),)
    assert "biased" in correlations.title
    assert correlations_table(outcomes[:9], design).rows == ()


def test_two_factors_are_crossed_and_compared_within_the_third() -> None:
    """Every combination of two of three factors is a level; the third is what they share."""
    space = Space(
        Choice("optimizer", ("sgd", "adam")),
        Choice("schedule", ("step", "cosine")),
        Choice("batch_size", (32, 64, 128)),
    )
    study = GRID.with_changes(space=space)
    values = {}
    for i, optimizer in enumerate(("sgd", "adam")):
        for j, schedule in enumerate(("step", "cosine")):
            for k, size in enumerate((32, 64, 128)):
                values[optimizer, schedule, size] = 0.5 + 0.1 * i + 0.03 * j * i + 0.01 * k * (i + 1 + j)
    trials = [
        ({"optimizer": optimizer, "schedule": schedule, "batch_size": size}, value)
        for (optimizer, schedule, size), value in values.items()
    ]
    design, outcomes = design_of(study.definition()), read_outcomes(frame(*trials))
    table = factor_table(outcomes, design, "optimizer", "schedule")
    assert table.columns[:5] == ("optimizer", "schedule", "n", "failed", "val_accuracy")
    assert table.title.startswith("optimizer x schedule: mean over all else")
    assert len(table.rows) == 4
    best, last = table.rows[0], table.rows[-1]
    assert best[:4] == ("adam", "cosine", 3, 0)
    assert last[:2] == ("sgd", "step")
    ours = [values["sgd", "step", size] for size in (32, 64, 128)]
    theirs = [values["adam", "cosine", size] for size in (32, 64, 128)]
    assert last[4] == pytest.approx(fmean(ours))
    difference = last[table.columns.index("difference")]
    assert difference == pytest.approx(fmean(ours) - fmean(theirs))
    assert last[table.columns.index("p")] >= ttest_rel(ours, theirs).pvalue  # corrected over all pairs
    shown = factors.for_people(table)
    assert shown.columns[:2] == ("optimizer", "schedule")
    swapped = factor_table(outcomes, design, "schedule", "optimizer")
    assert [row[:2][::-1] for row in swapped.rows] == [row[:2] for row in table.rows]


def test_factor_that_does_not_apply_has_no_level_in_a_crossing() -> None:
    space = Space(
        Choice("optimizer", ("sgd", "adam")), Choice("momentum", (0.5, 0.9), when=When("optimizer", ("sgd",)))
    )
    design = design_of(GRID.with_changes(space=space).definition())
    trials = [
        ({"optimizer": "sgd", "momentum": 0.5}, 0.5),
        ({"optimizer": "sgd", "momentum": 0.9}, 0.6),
        ({"optimizer": "adam"}, 0.7),
    ]
    table = factor_table(read_outcomes(frame(*trials)), design, "optimizer", "momentum")
    assert [row[:2] for row in table.rows] == [("adam", None), ("sgd", 0.9), ("sgd", 0.5)]
