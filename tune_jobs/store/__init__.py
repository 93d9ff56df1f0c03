"""Rows of trials in Parquet: durable row by row, and readable without this code.

Does not know the meaning of a row for the search, and imports no Ray and no Optuna. It is the only home of
pyarrow and DuckDB.

Doors: `writer` (rows of a study in), `reader` (frames, rows and SQL out), `latencies` (the table of timings),
`batches` (when rows are published), `notes` (warnings that the command line shows).

Rooms, each with its own doors:

* `format`: the names and contents of a store's files. `format.layout` draws the folders.
* `columns`: the columns of each table, and the checks of each value.
* `files`: folders and buckets behind one protocol, with their locks.
* `reading`: a store at one instant, as rows, as frames and for SQL.
* `upkeep`: recovery after a dead writer, repair, compaction, deletion.

Guarantees under concurrency and after a crash stand in the modules that keep them: of a write in `writer`, of
a read in `reading.snapshot`, of a dead writer's journal in `upkeep.recovery`, of a compaction in
`upkeep.compact`, of a deletion in `upkeep.deletion`, of a bucket in `files.objects` and `files.lease`.
"""
