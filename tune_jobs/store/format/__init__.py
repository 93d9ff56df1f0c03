"""Format on disk: names of files, the journal of acknowledged rows, and the published Parquet files.

Does not decide when rows are published, and repairs nothing.

Doors: `layout` (names), `journal` (acknowledged rows), `segments` (published rows), `definitions` (the
studies of a store); `seal`.
"""
