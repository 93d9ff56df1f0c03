"""A scikit-learn model: one report for each trial, from a function that returns its metrics.

python -m tune_jobs run examples/scikit_learn.py:study --workers 2
"""

from __future__ import annotations

import joblib
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_validate

from tune_jobs import Choice, Integer, Maximize, Minimize, Space, Study


def train(params, run):
    model = ExtraTreesClassifier(random_state=run.seed, **params)  # the params have its own names
    images, labels = load_digits(return_X_y=True)
    scores = cross_validate(model, images, labels, cv=3)
    folder = run.scratch / "model"
    folder.mkdir()
    joblib.dump(model.fit(images, labels), folder / "model.joblib")
    run.save_folder(folder)  # kept of the best trials
    return {
        "accuracy": scores["test_score"].mean(),
        "accuracy_sd": scores["test_score"].std(),
        "score_ms": 1000 * scores["score_time"].mean(),
    }


study = Study(
    name="forests",
    space=Space(
        Integer("n_estimators", 5, 200, log=True),
        Integer("max_depth", 2, 20),
        Choice("criterion", ("gini", "entropy")),
    ),
    train=train,
    epochs=1,
    objectives=(Maximize("accuracy"), Minimize("score_ms")),
)
