"""Rows of trials in Parquet: durable row by row, and readable without this code.

Does not know what a row means for the search; it is the only home of pyarrow and DuckDB.

Doors: `writer` (rows in), `reader` (frames, rows and SQL out), `latencies` (the table of timings), `probe`
(can a worker reach this store?); `batches` (when rows are published). The rooms below are private.

Reading order: `layout` (what lies where), `listing` (what of it is our own), `schema` and `params` (the
columns), `convert` (rows to JSON and Arrow and back, each checked), `files` and `local` (the disk), `journal`
(rows that are acknowledged), `batches`, `segments` and `seal` (rows that are published), `repeats` (each row
once), `definitions` (the studies), `recovery` (what a dead writer left), `examining` and `repair` (what is
damaged), `snapshot` (what a reader sees), `writer`, `reader`, `study_snapshot`, `frames`, `queries`. Knows no
Ray and no Optuna. The only package that imports pyarrow and duckdb.
"""
