"""A training that ends with the test set: `eml_models.fit`, whose last report also has the test accuracy.

For finalists, which a search has chosen without the test set. Imports torch:
    `tune_jobs.study.fits.fit_and_test`
imports it when it is called, on a worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from eml_models.training.final_report import FinalReport
from eml_models.training.loop import evaluate_test, fit
from eml_models.training.recipe import Recipe
from eml_models.training.snapshot import Snapshot


class FinalFit(Iterator[FinalReport]):
    """A training under way, like `eml_models.training.loop.Fit`; the test is no part of its seconds.

    Args:
        options: those of `eml_models.fit`.
    """

    def __init__(self, recipe: Recipe, *, data_dir: str | None = None, **options: Any) -> None:
        self._fit = fit(recipe, data_dir=data_dir, **options)
        self._data_dir = data_dir

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self._fit.epoch

    def __next__(self) -> FinalReport:
        report = next(self._fit)
        known = {f.name: getattr(report, f.name) for f in fields(report)}
        return FinalReport(**known, test_accuracy=self._test() if self._ended else None)

    def snapshot(self) -> Snapshot:
        """The state after the epochs done, to go on from."""
        return self._fit.snapshot()

    @property
    def _ended(self) -> bool:
        return self._fit.epoch >= self._fit.recipe.epochs

    def _test(self) -> float:
        return evaluate_test(self._fit.module, self._fit.recipe, data_dir=self._data_dir).accuracy
