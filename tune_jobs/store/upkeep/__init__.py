"""Upkeep of a store: recovery after a dead writer, repair, compaction and deletion.

Touches only files that the store itself made, and never a study with a living writer.

Doors: `recovery` (journals of a dead writer), `examining` (damage), `repair`, `compact`, `deletion`.
"""
