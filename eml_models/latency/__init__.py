"""How long a network takes on a device, why, and its fastest form. Plain PyTorch.

Reading order: `modes` (how a network may be run), `networks` (which one), `preparing` and `folding` (a model
brought into a mode), `conditions` and `measure` (its time, with everything that the time depends on),
`operators` and `roofline` (what can be said without hardware), `steps` and `worker` (many measurements,
interleaved, in processes of their own), `campaign` (which ones), `waterfall`, `verdicts` (what they mean),
`predictor` (time from counts), `deploy` (the fastest form, checked and saved). Knows no store and no Ray.
"""
