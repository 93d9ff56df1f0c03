"""Tables and pages for people, composed from findings and drawn as text, JSON or CSV.

Computes no finding; `analysis` does.

Doors: `documents` (whole pages), `render` (a table in a form), `tables` (the value of a table), `progress` (a
run as it goes); one file per kind of table besides.
"""
