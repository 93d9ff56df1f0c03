"""Proposals and decisions as pure functions of a study's rows: no Ray, no disk, no clock.

Reading order: `history` (rows to state), `asha` (who goes on), `sampler` (what to try next), `optuna_view`
(the history as Optuna sees it), `distributions` (a space as Optuna sees it). The session calls them;
analysis and tests call the same functions on rows read from a store.
"""
