"""Files of attempts beside the rows: saved states of trainings, which of them to keep, and logs.

Holds no rows, and never opens a checkpoint of another study.

Doors: `files` (the checkpoints of one study), `saving` (saves during a training, and resumes from a save),
`retention` (which checkpoints to keep), `logs` (what attempts printed), `bounded_log` (the most of it that is
kept). Private: `places` (folder or bucket).
"""
