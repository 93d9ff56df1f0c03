"""Saved states of trainings: their files, the saving of them, and the choice of which to keep.

Holds no rows, and never opens a checkpoint of another study.

Doors: `files` (the checkpoints of one study), `saving` (saves during a training, and resumes from a save),
`retention` (which to keep). Private: `places` (folder or bucket).
"""
