"""A session whose space searches the epochs: trials of several lengths share the rungs."""

from __future__ import annotations

from collections import Counter

from optuna.trial import TrialState
from session_testing import (
    MemoryLog,
    a_session,
    a_study,
    play,
    table,
)

from tune_jobs.analysis.audit import audit
from tune_jobs.search.history import History, params_from_json
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha
from tune_jobs.study.parameters import Choice, Float, Parameter
from tune_jobs.study.rows import (
    Decision,
    State,
)
from tune_jobs.study.space import Space


def searching_epochs(*parameters: Parameter) -> Study:
    return a_study(
        space=Space(*parameters, Float("learning_rate", 1e-4, 1.0, log=True)), sampler="random", trials=18
    )


SEARCHED_EPOCHS = searching_epochs(Choice("epochs", (1, 3, 9)))


def asked_epochs(params: str) -> int:
    epochs = params_from_json(params)["epochs"]
    assert isinstance(epochs, int)
    return epochs


def test_trial_that_ran_all_its_epochs_is_completed_though_they_end_at_a_rung() -> None:
    log = MemoryLog()
    play(a_session(log, SEARCHED_EPOCHS))
    asked = Counter(asked_epochs(trial.params) for trial in log.trials)
    assert min(asked[1], asked[3], asked[9]) >= 2
    last = {row.number: row for row in log.reports}
    for trial in log.trials:
        ran_all = trial.epochs == asked_epochs(trial.params)
        assert trial.state is (State.COMPLETED if ran_all else State.STOPPED)
        assert last[trial.number].decision is (None if ran_all else Decision.STOP)
        if ran_all:
            assert trial.reason in ("ran its only epoch", "ran all 3 epochs", "ran all 9 epochs")
    states = Counter(trial.state for trial in log.trials)
    assert states[State.STOPPED] >= 1
    assert states[State.COMPLETED] >= asked[1]


def test_sampler_audit_and_rungs_agree() -> None:
    log = MemoryLog()
    play(a_session(log, SEARCHED_EPOCHS))
    history = History.from_rows(SEARCHED_EPOCHS, log.rows)
    seen = Counter(trial.state for trial in as_optuna_study(SEARCHED_EPOCHS, history).trials)
    assert seen[TrialState.COMPLETE] == history.counts[State.COMPLETED]
    assert seen[TrialState.PRUNED] == history.counts[State.STOPPED]
    assert audit(SEARCHED_EPOCHS, log.rows).differences == ()
    assert len(history.rungs[1].values) == len(log.trials)  # short trials count there for the others


def test_killed_between_a_last_report_and_its_end_it_is_completed_by_the_next_run() -> None:
    whole, log = MemoryLog(), MemoryLog()
    play(a_session(whole, SEARCHED_EPOCHS))
    ended = next(t for t in whole.trials if t.epochs == asked_epochs(t.params) == 3)
    log.rows = whole.rows[: whole.rows.index(ended)]
    assert log.reports[-1].epoch == 3
    assert ended not in log.trials
    play(a_session(log, SEARCHED_EPOCHS))
    assert table(log) == table(whole)


def test_rungs_between_the_epochs_of_trials_still_stop() -> None:
    """Epochs 5 end at no rung: rungs 1 and 3 stop such trials as ever."""
    study = searching_epochs(Choice("epochs", (5, 9))).with_changes(
        asha=Asha(min_epochs=1, reduction_factor=3)
    )
    log = MemoryLog()
    play(a_session(log, study))
    assert {trial.epochs for trial in log.trials if trial.state is State.STOPPED} == {1, 3}
    assert {trial.epochs for trial in log.trials if trial.state is State.COMPLETED} <= {5, 9}
