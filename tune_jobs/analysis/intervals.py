"""Means, differences, and their intervals and p values. Pure statistics on plain numbers.

Intervals are Student's t, two-sided. A recipe has three to some tens of accuracies, one per seed. Of so small
a sample a bootstrap cannot know the tails (below about twenty values its percentile intervals are too
narrow); t assumes only that the means are about normal. It does not know the range of a metric: with few
values near 1 its upper end can lie above 1. Shown intervals are cut at the range (`within`). No mean lies in
the part that is cut off, so the interval contains the mean as often as before; its half width is read from
the end that was not cut. P values do not depend on the cut.

Values beyond 1e60 are scaled before they are squared or added. An end of an interval that is then still
beyond the largest float is None.

Called by `factors`, and by `tune_jobs.report.factors` and `tune_jobs.report.finalists`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE

ROUNDING = 1e-12
"""A standard deviation up to this share of the mean counts as 0: rounding makes equal values differ."""

LARGE = 2.0**200
"""The size from which values are scaled by a power of two, which changes no digit. Welch's degrees of freedom
are of the fourth power of the values, and 2**1024 is too large for a float."""

Span = tuple[float, float]
ACCURACY = "accuracy"
"""The end of the names of metrics in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean of `n` values, its standard deviation and its interval; these are None for a single value.

    An end of the interval is None too where it is no finite number.
    """

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None

    def within(self, span: Span) -> Estimate:
        """The estimate with its interval cut to the range of the metric."""
        return replace(self, low=_cut(self.low, span), high=_cut(self.high, span))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A difference of two means, with its interval and two-sided p value.

    The last three are None without a spread: for a single value, and for values that are all equal.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None

    def times(self, scale: float) -> Difference:
        """The difference of values that are larger by a factor."""
        low, high = (None if end is None else _finite(end * scale) for end in (self.low, self.high))
        return replace(self, value=self.value * scale, low=low, high=high)

    def within(self, span: Span) -> Difference:
        """The difference with its interval cut to the differences that two means in this range can have."""
        width = span[1] - span[0]
        ends = -width, width
        return replace(self, low=_cut(self.low, ends), high=_cut(self.high, ends))


def span_of(metric: str) -> Span:
    """The range of a metric: an accuracy is in [0, 1]; losses and times are at least 0."""
    return (0.0, 1.0) if metric.endswith(ACCURACY) else (0.0, math.inf)


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The mean of independent values with Student's interval.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("a mean needs at least one value, got none")
    n, mean = len(values), mean_of(values)
    if n < 2:
        return Estimate(n=n, mean=mean, sd=None, low=None, high=None)
    sd = deviation_of(values)
    half = t_quantile(n - 1, (1 + confidence) / 2) * sd / math.sqrt(n)
    return Estimate(n=n, mean=mean, sd=sd, low=_finite(mean - half), high=_finite(mean + half))


def mean_of(values: Iterable[float]) -> float:
    """The mean of values of any size; there must be one."""
    values = list(values)
    scale = _scale_of(values)
    return scale * fmean(value / scale for value in values)


def deviation_of(values: Sequence[float]) -> float:
    """The standard deviation of two values or more, of any size."""
    scale = _scale_of(values)
    return scale * stdev(value / scale for value in values)


def welch(values: Sequence[float], others: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """The mean of `values` less that of `others`, for independent samples of unequal spread.

    Source: Welch 1947, Biometrika 34; degrees of freedom by Satterthwaite 1946, Biometrics Bulletin 2.
    """
    scale = _scale_of([*values, *others])
    values, others = [value / scale for value in values], [value / scale for value in others]
    return _welch(values, others, confidence).times(scale)


def _welch(values: Sequence[float], others: Sequence[float], confidence: float) -> Difference:
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
    scale = _scale_of(differences)
    if math.isinf(scale):  # a difference of two floats may be
        return Difference(value=sum(differences))
    return _paired([difference / scale for difference in differences], confidence).times(scale)


def _paired(differences: Sequence[float], confidence: float) -> Difference:
    mean = fmean(differences)
    if len(differences) < 2 or (spread := _spread(differences)) == 0:
        return Difference(value=mean)
    return _with_t(mean, spread / math.sqrt(len(differences)), len(differences) - 1, confidence)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P values corrected for the number of comparisons, in the same order; None stays and is not counted.

    If only differences with a corrected value below alpha count as significant, the chance of any false
    difference stays below alpha.
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
    """The verdict on a corrected p value, in words."""
    if p is None:
        return "cannot be judged"
    return "significant" if p < alpha else "not significant"


def with_interval(value: float, low: float | None, high: float | None) -> str:
    """A value and its interval as text: ``0.9100 [0.8852, 0.9348]``."""
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} [{low:.4f}, {high:.4f}]"


def t_quantile(degrees: float, probability: float) -> float:
    """The quantile of Student's t."""
    from scipy.special import stdtrit  # the import takes a tenth of a second, and most commands need none

    return float(stdtrit(degrees, probability))


def _spread(values: Sequence[float]) -> float:
    """The standard deviation; 0 if only rounding makes the values differ, as in 0.9 - 0.8 and 0.4 - 0.3."""
    found = stdev(values)
    return 0.0 if found <= ROUNDING * max(1.0, abs(fmean(values))) else found


def _scale_of(values: Iterable[float]) -> float:
    """What to divide values by, so that their sum and their squares are finite; infinite if a value is."""
    largest = max(map(abs, values))
    if math.isinf(largest):
        return largest
    return 1.0 if largest < LARGE else 2.0 ** (math.frexp(largest)[1] - 1)


def _finite(end: float) -> float | None:
    return end if math.isfinite(end) else None


def _cut(end: float | None, span: Span) -> float | None:
    return None if end is None else min(max(end, span[0]), span[1])


def _with_t(value: float, error: float, degrees: float, confidence: float) -> Difference:
    from scipy.special import stdtr

    half = t_quantile(degrees, (1 + confidence) / 2) * error
    p = 2 * float(stdtr(degrees, -abs(value) / error))
    return Difference(value=value, low=value - half, high=value + half, p=p)
