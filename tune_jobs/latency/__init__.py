"""Latency as rows of the store and as an objective of trials.

Times nothing itself; `eml_models.latency` does.

Doors: `rows` (findings to rows), `worker` (the measuring process, with a user's own families), `predictor` (a
predictor from the store's timings).
"""
