"""The trial store: append-only tables of plain Parquet, durable row by row, readable without this code.

Reading order: `layout` (what lies where), `schema` and `params` (the columns), `convert` (rows to JSON and
Arrow and back), `files` and `local` (the disk), `journal` (rows that are acknowledged), `batches`, `segments`
(rows that are published), `definitions` (the studies), `recovery` (what a dead writer left), `snapshot` (what
a reader sees), `writer`, `reader`, `frames`, `queries`. Knows no Ray and no Optuna. The only package that
imports pyarrow and duckdb.
"""
