"""The only code that knows Ray: lets Ray Tune schedule what a session hands out.

Decides nothing about a search.

Doors: `runner` (`run_study`), `latency` (measurements on a cluster), `jobs/submit` (studies as jobs). Inside:
`messages` (worker to driver), `bridge` (Tune's hooks), `private` (every inner name of Ray, and nowhere else),
`metrics` (Prometheus).
"""
