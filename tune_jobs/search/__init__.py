"""Proposals and stopping decisions as pure functions of a study's rows.

Uses no clock, no disk and no Ray, and is the only home of Optuna.

Doors: `sampler` (what to try next), `asha` (does a trial continue?), `history` (what the rows say so far),
`queue` (points to try first), `pareto` (order of several objectives), `optuna_view` (the history for Optuna's
own tools).
"""
