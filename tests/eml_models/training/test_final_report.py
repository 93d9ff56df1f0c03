"""Reports of finalists: the metric of the test set, which no choice may use."""

from __future__ import annotations

from eml_models.training.final_report import FINAL_METRICS


def test_test_accuracy_is_the_only_metric_of_the_last_epoch() -> None:
    assert sorted(FINAL_METRICS) == ["test_accuracy"]
