"""Shares of a GPU: how many trials fit on one, measured and chosen.

Does not enforce a share; `worker/gpu_limit` does.

Doors: `share` (the choice, and larger shares for retries), `measure` (the measured step). Private:
`step_program` (the program that measures on this machine).
"""
