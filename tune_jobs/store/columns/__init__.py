"""Columns of the tables and the type of each value, on the way into Arrow and back.

Opens no file.

Doors: `schema` (the columns), `convert` (rows to Arrow and back), `params` (types of parameters), `metrics`
(columns for metrics of own training), `latency_rows` (a row of the timings), `sql_types` (answers of SQL as
Arrow data) and `python_values` (Arrow data as Python's values).
"""
