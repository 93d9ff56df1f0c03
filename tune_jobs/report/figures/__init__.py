"""Figures of a study: one file a figure, each a pure function of rows to a value.

Knows no page, no store and no terminal. A figure holds its data as a table, its picture as a Vega-Lite
description, and words that say how to read it. Only `drawing` imports the library that makes SVG and PNG.

Doors: `catalog` (the figures by name), `figure` (what they return), `seen` (the rows as they take them).
Inside: `drawing`, `marks`, `thinning`, and one file for each figure.
"""
