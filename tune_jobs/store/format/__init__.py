"""Format on disk: names of files, the journal of acknowledged rows, and the published Parquet files.

Does not decide when rows are published, and repairs nothing.

Doors: `layout` (names), `listing` (own and foreign files), `journal` (acknowledged rows), `publishing` and
`segments` (published rows, written and read), `definitions` (the studies of a store),
`plain_readers` (paths that other programs misread), `version_check`, `repeats`. Private: `seal`.
"""
