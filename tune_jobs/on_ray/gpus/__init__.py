"""Shares of a GPU: how many trials fit on one, measured and chosen.

Does not enforce a share; `worker/gpu_limit` does.

Doors: `share` (the choice), `measure` (the measured step); `step_program`.
"""
