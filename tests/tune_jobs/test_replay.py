"""A trial trained again: each report is compared with that of its own epoch."""

from __future__ import annotations

from session_testing import WORKER, Clock, MemoryLog, a_study

from eml_models import Recipe, fit
from tune_jobs.replay import iter_replay, stored_trial
from tune_jobs.session import Session
from tune_jobs.study import fit_recipe


def test_reports_are_compared_by_their_epoch_where_the_store_lacks_some() -> None:
    recipe = Recipe(learning_rate=0.1, epochs=4, max_train_samples=64)
    log = MemoryLog()
    session = Session(a_study(recipe=recipe, trials=1, asha=None), log, clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    for report in fit(attempt.recipe):
        if report.epoch in (2, 3):
            metrics = {name: getattr(report, name) for name in type(report).__slots__}
            session.record_report(attempt.number, metrics, WORKER)
    trial = stored_trial(log.rows, attempt.number, fit=f"{fit_recipe.__module__}:{fit_recipe.__qualname__}")
    replayed = list(iter_replay(trial, device="cpu", data_dir=None))
    assert [(epoch.epoch, epoch.equal) for epoch in replayed] == [(2, True), (3, True)]
    assert [epoch.stored[0] for epoch in replayed] == [row.train_loss for row in log.reports]
