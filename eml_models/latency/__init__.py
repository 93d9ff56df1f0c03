"""How long a network takes on a device, why, and its fastest form. Plain PyTorch.

Reading order: `modes` (how a network may be run), `networks` (which one), `folding` and `preparing` (a model
brought into a mode), `conditions` and `measure` (its time, with everything that the time depends on),
`recipes` (the same for a trial's network), `operators`, `roofline` and `ceilings` (what can be said without
running it, and what a device can reach), `cases`, `steps`, `worker` and `bench` (many timings, interleaved,
in processes of their own), `campaign` (what is asked and found), `waterfall`, `evidence` and `verdicts` (what
it means), `investigation` (runs a campaign), `predictor` (time from counts), `deploy` (the fastest form,
checked and written). Knows no store and no Ray.
"""
