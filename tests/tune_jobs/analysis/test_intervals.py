"""Intervals and tests against published values, and what they do where there is nothing to judge by."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_jobs.analysis.intervals import estimate, holm, paired, span_of, t_quantile, verdict, welch

# Student 1908 ("The probable error of a mean", Biometrika 6), hours of sleep gained with two drugs; R ships
# them as `sleep`, and the expected values are what R's manual page of t.test prints for them.
DRUG_1 = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
DRUG_2 = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)


def test_welch_of_students_sleep_data() -> None:
    found = welch(DRUG_1, DRUG_2)
    assert found.value == pytest.approx(-1.58)
    assert (found.low, found.high) == (
        pytest.approx(-3.3654832, abs=1e-7),
        pytest.approx(0.2054832, abs=1e-7),
    )
    assert found.p == pytest.approx(0.07939, abs=5e-6)


def test_paired_of_students_sleep_data() -> None:
    found = paired([a - b for a, b in zip(DRUG_1, DRUG_2, strict=True)])
    assert (found.low, found.high) == (
        pytest.approx(-2.4598858, abs=1e-7),
        pytest.approx(-0.7001142, abs=1e-7),
    )
    assert found.p == pytest.approx(0.002833, abs=5e-7)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042), (120, 1.980)],
)
def test_quantiles_are_those_of_the_printed_tables(degrees: int, expected: float) -> None:
    assert t_quantile(degrees, 0.975) == pytest.approx(expected, abs=5e-4)


def test_interval_of_a_mean() -> None:
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])  # sd 1.5811, so 2.776 * 1.5811 / sqrt(5) on each side
    assert (found.n, found.mean, found.sd) == (5, 3.0, pytest.approx(math.sqrt(2.5)))
    assert (found.low, found.high) == (pytest.approx(1.0368, abs=1e-4), pytest.approx(4.9632, abs=1e-4))


def test_shown_ends_stay_in_the_range_of_the_metric_and_p_values_as_they_are() -> None:
    values, others = [0.99, 0.97, 1.0], [0.02, 0.0, 0.01]
    found = estimate(values)
    assert found.high is not None
    assert found.high > 1
    shown = found.within(span_of("test_accuracy"))
    assert (shown.low, shown.mean, shown.high) == (found.low, found.mean, 1.0)
    assert estimate(others).within(span_of("val_loss")).low == 0.0
    assert estimate([5.0, 5.1]).within(span_of("val_loss")).high == estimate([5.0, 5.1]).high
    whole = welch(values, others[:2])
    assert whole.high is not None
    assert whole.high > 1
    cut = whole.within(span_of("val_accuracy"))
    assert (cut.low, cut.high, cut.p) == (whole.low, 1.0, whole.p)
    assert whole.within(span_of("val_loss")) == whole
    assert estimate([0.5]).within((0.0, 1.0)).low is None


def test_holm_corrects_as_in_the_textbook_example() -> None:
    """Four hypotheses at 0.05: the first and the fourth are rejected, the others are not."""
    corrected = holm([0.01, 0.04, 0.03, 0.005])
    assert corrected == [pytest.approx(p) for p in (0.03, 0.06, 0.06, 0.02)]
    assert [verdict(p) for p in corrected] == ["significant", *["not significant"] * 2, "significant"]


def test_nothing_is_said_without_a_spread() -> None:
    assert (estimate([0.5]).low, estimate([0.5]).sd) == (None, None)
    assert welch([0.5], [0.4, 0.6]).p is None
    same = welch([0.9, 0.9], [0.8, 0.8])
    assert (same.value, same.p, same.low) == (pytest.approx(0.1), None, None)
    assert paired([0.1, 0.1]).p is None
    assert verdict(None) == "cannot be judged"
    assert holm([None, 0.02, None]) == [None, 0.02, None]
    rounded = [(306 - 300) / 360, 306 / 360 - 300 / 360, 0.9 - 0.8833333333333333]
    assert len(set(rounded)) > 1
    assert paired(rounded).p is None
    assert welch(rounded, [0.5, 0.5]).p is None
    assert paired([1e6 + 0.1, 1e6 + 0.1 + 1e-9]).p is None
    assert paired([1e-9, 2e-9]).p is not None
    with pytest.raises(ValueError, match="at least one value"):
        estimate([])


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(c is not None and p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    ordered = sorted(zip(p_values, corrected, strict=True), key=lambda pair: pair[0])
    assert [c for _, c in ordered] == sorted(c for c in corrected if c is not None)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """2,000 samples of five normal values, and of two such samples of unequal spread."""
    import numpy as np

    generator = np.random.default_rng(0)
    samples, others = generator.normal(0, 1, (2000, 5)), generator.normal(0, 3, (2000, 4))
    means = [estimate(list(map(float, sample))) for sample in samples]
    held = sum((m.low or 0) <= 0 <= (m.high or 0) for m in means) / 2000
    assert held == pytest.approx(0.95, abs=0.015)
    pairs = (welch(list(map(float, a)), list(map(float, b))) for a, b in zip(samples, others, strict=True))
    assert sum((d.p or 0) < 0.05 for d in pairs) / 2000 == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e160, 1e307])
def test_values_of_any_size_have_means_and_intervals(size: float) -> None:
    ours, theirs = [1.0, 2.0, 4.0], [2.0, 5.0, 6.0]
    large = [size * value for value in ours]
    plain, found = estimate(ours), estimate(large)
    for name in ("mean", "sd", "low", "high"):
        assert getattr(found, name) == pytest.approx(size * getattr(plain, name), rel=1e-9)
    for compare, others in ((welch, [size * value for value in theirs]), (None, None)):
        difference = compare(large, others) if compare else paired(large)
        expected = welch(ours, theirs) if compare else paired(ours)
        assert difference.value == pytest.approx(size * expected.value, rel=1e-9)
        assert size < 1e-12 or difference.p == pytest.approx(expected.p, rel=1e-9)


def test_an_interval_beyond_the_largest_float_has_no_end() -> None:
    found = estimate([1.7e308, -1.7e308, 1.7e308])
    assert found.mean == pytest.approx(1.7e308 / 3)
    assert (found.low, found.high) == (None, None)
    assert math.isinf(welch([1.7e308] * 2, [-1.7e308, -1.6e308]).value)
    assert math.isinf(paired([math.inf, 1.0]).value)
