"""Vocabulary of a search as frozen values: space, objective, method, study, and the rows of a trial.

Takes no decision, reads no clock and touches no disk.

Doors: `definition` (`Study` itself), `space` (parameters and bounds), `objective` and `method` (what to
search for, and how), `rows` (one value per row of the store), `stored` (a study from its stored JSON, and
differences of two).
"""
