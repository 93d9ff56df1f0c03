"""Predicts a network's latency from what can be counted, and says how well.

Time as a sum: so much a multiply-add, a convolution's output, a byte, a kernel, and something fixed, none of
them negative; fitted to measured networks of one device, mode and batch size by least squares of the relative
errors. It holds for networks like those that it saw. Its error and rank correlation are those of networks
that were left out of the fit (five folds), beside the same with MACs alone. A hard limit may rest on it only
together with that error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eml_models.errors import InvalidValueError

FEATURES = ("macs", "activations", "traffic_bytes", "kernels")
BASELINE = ("macs",)
FOLDS = 5
LEAST_NETWORKS = 10

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well networks that were not seen are predicted.

    Attributes:
        median_error: of the relative errors without sign; `p95_error` is exceeded by one network in twenty.
        rank_correlation: Spearman's, of predicted and measured times.
    """

    median_error: float
    p95_error: float
    rank_correlation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPredictor:
    """A fitted predictor.

    Attributes:
        weights: milliseconds a unit of each feature, and the fixed part last.
        num_networks: that it was fitted to.
        baseline: the quality of MACs alone.
    """

    features: tuple[str, ...]
    weights: tuple[float, ...]
    num_networks: int
    quality: Quality
    baseline: Quality

    def predict_ms(self, costs: Mapping[str, float]) -> float:
        """The time of a network with these counts."""
        *rates, fixed = self.weights
        return fixed + sum(rate * costs[name] for name, rate in zip(self.features, rates, strict=True))

    def describe(self) -> str:
        """One sentence that belongs to every prediction."""
        q, b = self.quality, self.baseline
        return (
            f"fitted to {self.num_networks} networks; on those left out: median error {q.median_error:.0%},"
            f" 95 % within {q.p95_error:.0%}, rank correlation {q.rank_correlation:.2f} (MACs alone:"
            f" {b.median_error:.0%}, {b.p95_error:.0%}, {b.rank_correlation:.2f})"
        )


def fit_predictor(networks: Sequence[Mapping[str, float]], times_ms: Sequence[float]) -> LatencyPredictor:
    """Fit to measured networks.

    Args:
        networks: the counts of each, by the names of `FEATURES`.
        times_ms: measured, of one device, mode and batch size.

    Raises:
        InvalidValueError: too few networks.
    """
    if len(networks) < LEAST_NETWORKS:
        raise InvalidValueError(
            f"a predictor needs at least {LEAST_NETWORKS} measured networks of one device, mode and batch"
            f" size, got {len(networks)}; measure more with the command latency"
        )
    times = np.asarray(times_ms, dtype=np.float64)
    counts = _matrix(networks, FEATURES)
    return LatencyPredictor(
        features=FEATURES,
        weights=tuple(map(float, _fit(counts, times))),
        num_networks=len(networks),
        quality=_judge(counts, times),
        baseline=_judge(_matrix(networks, BASELINE), times),
    )


def rank_correlation(left: Sequence[float] | Array, right: Sequence[float] | Array) -> float:
    """Spearman's: the correlation of ranks, equal values sharing their mean rank. 0 where one is constant."""
    ranks = [_ranks(np.asarray(values, dtype=np.float64)) for values in (left, right)]
    if any(np.ptp(r) == 0 for r in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _matrix(networks: Sequence[Mapping[str, float]], names: Sequence[str]) -> Array:
    """One row per network, one column per feature, and ones for the fixed part."""
    return np.array([[*(float(n[name]) for name in names), 1.0] for n in networks])


def _fit(counts: Array, times: Array) -> Array:
    """Non-negative least squares of the relative errors; features scaled so that all are of one size."""
    from sklearn.linear_model import LinearRegression

    scale = np.maximum(counts.max(axis=0), 1e-12)
    relative = counts / scale / times[:, None]
    model = LinearRegression(positive=True, fit_intercept=False).fit(relative, np.ones(len(times)))
    weights: Array = model.coef_ / scale
    return weights


def _judge(counts: Array, times: Array) -> Quality:
    """Predict each fold from the others. Networks are dealt out in turn by their time, so folds are alike."""
    folds = np.empty(len(times), dtype=int)
    folds[np.argsort(times, kind="stable")] = np.arange(len(times)) % FOLDS
    predicted = np.empty_like(times)
    for fold in range(FOLDS):
        out = folds == fold
        predicted[out] = counts[out] @ _fit(counts[~out], times[~out])
    errors = np.abs(predicted / times - 1)
    return Quality(
        median_error=float(np.median(errors)),
        p95_error=float(np.quantile(errors, 0.95)),
        rank_correlation=rank_correlation(predicted, times),
    )


def _ranks(values: Array) -> Array:
    order = np.argsort(values, kind="stable")
    ranks: Array = np.empty(len(values))
    ranks[order] = np.arange(len(values))
    _, places, sizes = np.unique(values, return_inverse=True, return_counts=True)
    means: Array = np.bincount(places, weights=ranks).astype(np.float64) / sizes
    return means[places]
