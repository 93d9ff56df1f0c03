"""The only code that knows Ray: lets Ray Tune schedule what a session hands out.

Decides nothing about a search.

Doors: `runner` (`run_study`), `latency` (measurements on a cluster), `jobs/submit` (studies as jobs). Inside:
`tuning` (one run of Tune), `bridge` (Tune's hooks), `leaving` (a way out of a Ray that has died),
`failures_on_ray` (words on failed attempts), `prometheus` (metrics), `private` (every inner name of Ray,
nowhere else), and the rooms `cluster`, `worker`, `gpus` and `jobs`.
"""
