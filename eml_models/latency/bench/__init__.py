"""Timing of many cases in processes of their own, interleaved, with a new process when one dies.

Does not know what the times mean.

Doors: `cases` (what is timed), `processes` (runs the cases), `worker` (the program of the process),
`ceilings` (rates of a device, measured).
"""
