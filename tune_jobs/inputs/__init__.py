"""Inputs from a person: shipped studies, own code, points to try, finalists, and another study to learn from.

Holds no result, and starts nothing.

Doors: `user_code` (a study by its words, and the code behind it), `named_study` (a study or its name, for
callers in Python), `shipped` (studies by name), `smoke` (a study made small), `point_files` (points from JSON
or CSV), `finalists` (the best recipes as a new study), `warm_start` (trials of another study). Inside:
`csv_cells` reads CSV for `point_files`.
"""
