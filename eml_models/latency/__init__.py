"""How long a network takes on a device, why, and its fastest form. Plain PyTorch.

Reading order: `modes` (how a network may be run), `networks` (which one), `folding`, `casting` and
`preparing` (a model brought into a mode), `conditions` and `measure` (its time, with everything that the time
depends on), `recipes` (the same for a trial's network), `operators`, `roofline` and `ceilings` (what can be
said without running it, and what a device can reach), `cases`, `steps`, `worker`, `worker_process`, `bench`,
`pace` and `ending` (many timings, interleaved, in processes of their own, to be ended at any time),
`campaign` (what is asked and found), `waterfall`, `evidence` and `verdicts` (what it means), `agenda` and
`investigation` (what is measured when; runs a campaign), `predictor` (time from counts), `rounding` and
`deploy` (the fastest form, checked and written). Knows no store and no Ray.
"""
