"""Means, differences, and how far they can be trusted. Pure statistics on plain numbers.

Intervals are Student's t, two-sided. Accuracies of one recipe over seeds come in threes to tens; of so few a
bootstrap cannot know the tails (its percentile intervals are too narrow below some twenty values), and t
costs no more than that the means be about normal. It knows nothing of a metric's range: of few values near 1
its upper end can lie above 1. What is shown is cut there (`within`). No mean lies in what is cut off, so the
interval holds it as often as before; its half width is read from the end that was not cut. P values come
from the same t as before and know of no cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE

ROUNDING = 1e-12
"""A standard deviation of no more than this share of the values is what rounding leaves of equal ones."""

Span = tuple[float, float]
ACCURACY = "accuracy"
"""What the names of metrics in [0, 1] end with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean of `n` values, and its interval; None where a single value says nothing of its spread."""

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None

    def within(self, span: Span) -> Estimate:
        """The estimate with its ends cut to the range in which the mean lies."""
        return replace(self, low=_cut(self.low, span), high=_cut(self.high, span))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A difference of two means with its interval and two-sided p value.

    The last three are None where there is no spread to judge it by: a single value, or values all equal.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None

    def within(self, span: Span) -> Difference:
        """The difference of two means of that range, with its ends cut to what such differences can be."""
        width = span[1] - span[0]
        ends = -width, width
        return replace(self, low=_cut(self.low, ends), high=_cut(self.high, ends))


def span_of(metric: str) -> Span:
    """The range of a metric: accuracies are shares, losses and times are at least 0."""
    return (0.0, 1.0) if metric.endswith(ACCURACY) else (0.0, math.inf)


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The mean of independent values with Student's interval.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("a mean needs at least one value, got none")
    n, mean = len(values), fmean(values)
    if n < 2:
        return Estimate(n=n, mean=mean, sd=None, low=None, high=None)
    sd = stdev(values)
    half = t_quantile(n - 1, (1 + confidence) / 2) * sd / math.sqrt(n)
    return Estimate(n=n, mean=mean, sd=sd, low=mean - half, high=mean + half)


def welch(values: Sequence[float], others: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """The mean of `values` less that of `others`, for independent samples of unequal spread.

    Source: Welch 1947, Biometrika 34; degrees of freedom by Satterthwaite 1946, Biometrics Bulletin 2.
    """
    difference = fmean(values) - fmean(others)
    if len(values) < 2 or len(others) < 2:
        return Difference(value=difference)
    parts = [_spread(sample) ** 2 / len(sample) for sample in (values, others)]
    variance = sum(parts)
    if variance == 0:
        return Difference(value=difference)
    weights = zip(parts, (len(values) - 1, len(others) - 1), strict=True)
    degrees = variance**2 / sum(part**2 / freedom for part, freedom in weights)
    return _with_t(difference, math.sqrt(variance), degrees, confidence)


def paired(differences: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """The mean of differences within pairs (Student's one-sample t)."""
    mean = fmean(differences)
    if len(differences) < 2 or (spread := _spread(differences)) == 0:
        return Difference(value=mean)
    return _with_t(mean, spread / math.sqrt(len(differences)), len(differences) - 1, confidence)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P values corrected for how many comparisons are made, in their order; None stays and is not counted.

    Rejecting where the corrected value is below alpha keeps the chance of any false difference below alpha.
    Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    ranked = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(ranked):
        largest = max(largest, min(1.0, p * (len(ranked) - rank)))
        corrected[index] = largest
    return corrected


def verdict(p: float | None, alpha: float = ALPHA) -> str:
    """What a corrected p value says, in words."""
    if p is None:
        return "cannot be judged"
    return "significant" if p < alpha else "not significant"


def with_interval(value: float, low: float | None, high: float | None) -> str:
    """A value and its interval in words: ``0.9100 [0.8852, 0.9348]``."""
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} [{low:.4f}, {high:.4f}]"


def t_quantile(degrees: float, probability: float) -> float:
    """The quantile of Student's t."""
    from scipy.special import stdtrit  # a tenth of a second, and most commands report no interval

    return float(stdtrit(degrees, probability))


def _spread(values: Sequence[float]) -> float:
    """The standard deviation; 0 where it is no more than rounding, as of 0.9 - 0.8 and 0.4 - 0.3."""
    found = stdev(values)
    return 0.0 if found <= ROUNDING * max(1.0, abs(fmean(values))) else found


def _cut(end: float | None, span: Span) -> float | None:
    return None if end is None else min(max(end, span[0]), span[1])


def _with_t(value: float, error: float, degrees: float, confidence: float) -> Difference:
    from scipy.special import stdtr

    half = t_quantile(degrees, (1 + confidence) / 2) * error
    p = 2 * float(stdtr(degrees, -abs(value) / error))
    return Difference(value=value, low=value - half, high=value + half, p=p)
