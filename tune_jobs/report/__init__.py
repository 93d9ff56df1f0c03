"""Tables and pages for people, composed from findings and drawn as text, JSON or CSV.

Computes no finding; `analysis` does.

Doors: `documents` (the pages of `show`, `report` and `list`), `latency_tables` (the tables of `latency`),
`progress` (a run on stderr), `preview` (the page of a dry run), `summary` (a study in a sentence), `render`
(a table in a form), `tables` (the value of a table), `formats` (the names of the forms), `terminal` (colours)
and `sparkline` (the best so far in a few characters). Inside: `text` draws a table, `plain` makes values of
JSON and CSV, and each other file makes a kind of table.
"""
