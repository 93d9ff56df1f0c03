"""The page of a study: one HTML file without a script, which opens without a network.

Pure: text from values. Knows no store and no browser; the board takes the same sections.

Doors: `whole` (the page), `sections` (its parts, each a text). Inside: `markup` (escaped HTML), `style`.
"""
