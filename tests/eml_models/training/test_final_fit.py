"""A training that ends with the test set: as `fit`, with the test accuracy in its last report alone."""

from __future__ import annotations

from dataclasses import asdict

from eml_models.training.final_evaluation import evaluate_test
from eml_models.training.final_fit import FinalFit
from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe

RECIPE = Recipe(
    model_options={"width": 4}, learning_rate=0.05, epochs=2, batch_size=64, max_train_samples=150
)
OF_TIME = {"epoch_s", "elapsed_s", "samples_per_s", "peak_memory_bytes"}


def test_only_the_last_report_has_the_test_accuracy_and_all_else_is_as_in_fit() -> None:
    reports = list(FinalFit(RECIPE))
    training = fit(RECIPE)
    usual = list(training)
    test_accuracy = evaluate_test(training.module, RECIPE).accuracy
    assert [report.test_accuracy for report in reports] == [None, test_accuracy]
    for report, other in zip(reports, usual, strict=True):
        known = {name: value for name, value in asdict(report).items() if name not in OF_TIME}
        del known["test_accuracy"]
        assert known == {name: value for name, value in asdict(other).items() if name not in OF_TIME}


def test_snapshot_resumes_and_then_tests() -> None:
    begun = FinalFit(RECIPE)
    next(begun)
    (last,) = FinalFit(RECIPE, resume_from=begun.snapshot())
    assert last.epoch == 2
    assert last.test_accuracy == next(begun).test_accuracy
    assert begun.epoch == 2
