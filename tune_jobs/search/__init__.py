"""Proposals and stopping decisions as pure functions of a study's rows.

Uses no clock, no disk and no Ray, and is the only home of Optuna.

Doors: `history` and `records` (the fold of the rows), `queue` (proposals, enqueued points first), `sampler`
(proposals), `asha` (whether a trial continues), `given` (points and trials from outside), `objectives` and
`pareto` (the values and the order of several objectives), `optuna_view` (the history as an
Optuna study). Private: `distributions`, `grid_order`, `shown`.
"""
