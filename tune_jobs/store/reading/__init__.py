"""Reading of a store at one instant: a consistent snapshot, frames of it, and SQL over it.

Writes nothing and takes no lock.

Doors: `snapshot` (tables at one instant), `study_snapshot` (one study, for reports), `queries` (SQL),
`frames` (pandas), `answers` (tuples) and `parsed` (rows as values).
"""
