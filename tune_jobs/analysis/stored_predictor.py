"""A latency predictor from the store's own `latencies`: of one device, mode, allocator and batch size."""

from __future__ import annotations

from eml_models.latency.predictor import FEATURES, LatencyPredictor, fit_predictor
from tune_jobs.store.reader import TrialStore

CONDITIONS = ("device_name", "mode", "allocator", "batch_size", "threads", "kernel_search")
"""What must be equal for times to be compared."""


def fit_from_store(
    store: TrialStore, *, mode: str, batch_size: int, device_name: str | None = None
) -> LatencyPredictor:
    """Fit to the networks that the store has timed; of one timed several times the newest counts.

    Args:
        mode: as tables write it, ``fp32/nchw/eager``.
        device_name: None for that of the most networks; likewise where other conditions differ.

    Raises:
        InvalidValueError: too few networks.
    """
    rows = store.latencies()
    rows = rows[(rows["mode"] == mode) & (rows["batch_size"] == batch_size)]
    rows = rows[(rows["variant"] == "whole") & (rows["source"] == "cached")]
    if device_name is not None:
        rows = rows[rows["device_name"] == device_name]
    rows = rows.drop_duplicates([*CONDITIONS, "model", "options", "input_shape"], keep="last")
    groups = [group for _, group in rows.groupby(list(CONDITIONS))]
    largest = max(groups, key=len, default=rows)
    counts = [{name: float(row[name]) for name in FEATURES} for _, row in largest.iterrows()]
    return fit_predictor(counts, list(largest["median_ms"]))
