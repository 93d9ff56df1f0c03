"""Saved states of trainings: where they lie, when they are written, and which are kept.

Holds no rows, and never opens a checkpoint of another study.

Doors: `files` (the checkpoints of one study), `saving` (saves during a training, and begins from a save),
`retention` (which to keep); `places` (folder or bucket).
"""
