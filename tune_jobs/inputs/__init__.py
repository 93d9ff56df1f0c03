"""Inputs from a person: shipped studies, own code, points to try, finalists, and another study to learn from.

Holds no result, and starts nothing.

Doors: `shipped` (studies by name), `user_code` (a study from a file or package), `smoke` (a study made
small), `point_files` (points from JSON or CSV), `finalists` (the best recipes as a new study), `warm_start`
(trials of another study).
"""
