"""Reading of a store at one instant: a consistent snapshot, frames of it, and SQL over it.

Writes nothing and takes no lock.

Doors: `snapshot` (what a reader sees), `queries` (SQL), `frames` (pandas).
"""
