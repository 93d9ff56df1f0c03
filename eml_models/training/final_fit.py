"""A training that ends with the test set: as `eml_models.fit`, but the last report has the test accuracy.

For finalists, which a search has chosen without the test set. Imports torch, so
`tune_jobs.study.fits.fit_and_test` imports this module only when it is called, on a worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from eml_models.training.final_evaluation import evaluate_test
from eml_models.training.final_report import FinalReport
from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe
from eml_models.training.snapshot import Snapshot


class FinalFit(Iterator[FinalReport]):
    """A running training, like `eml_models.training.loop.Fit`; its seconds do not include the test.

    Args:
        options: the other arguments of `eml_models.fit`.
    """

    def __init__(self, recipe: Recipe, *, data_dir: str | None = None, **options: Any) -> None:
        self._fit = fit(recipe, data_dir=data_dir, **options)
        self._data_dir = data_dir

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return self._fit.epoch

    def __next__(self) -> FinalReport:
        report = next(self._fit)
        known = {f.name: getattr(report, f.name) for f in fields(report)}
        return FinalReport(**known, test_accuracy=self._test() if self._ended else None)

    def snapshot(self) -> Snapshot:
        """The state after the finished epochs, for a later resume."""
        return self._fit.snapshot()

    @property
    def _ended(self) -> bool:
        return self._fit.epoch >= self._fit.recipe.epochs

    def _test(self) -> float:
        return evaluate_test(self._fit.module, self._fit.recipe, data_dir=self._data_dir).accuracy
