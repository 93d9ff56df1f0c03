"""Shares of a GPU: how many trials fit on one, measured and chosen.

Does not enforce a share; `worker/gpu_limit` does.

Doors: `share` (the choice, and larger shares for retries), `measure` (the measured step), `side_by_side`
(several processes on a card). Private: `card_program` (measures on this machine), `step_process` and
`step_program` (both ends of a process that trains steps).
"""
