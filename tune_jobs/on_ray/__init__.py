"""The only package that knows Ray: it lets Ray Tune schedule what a session hands out.

Reading order: `settings` (how a study is run), `runner` (one run from start to end), `tuning` (the Tune run),
`bridge` (Tune's hooks, answered by the session), `messages` (what a worker says to its driver), `trainable`
(what runs on a worker), with `payload` (what it is sent), `watching` (it may not be silent for long),
`describing_worker` and `describing_failure` (what it says of itself and of an error). Around it: `connect`
and `reaching` (a cluster or a Ray of our own), `room` (how many trials, and can they ever run), `openings`
(which of them may begin now), `gpu_share` and `gpu_measure`, `shared_data` (a data set read once for all
workers), `registered` (the user's parts in other processes), `metrics`; `jobs` (a study as a job of a
cluster), `upload` (what a job takes with it), `left_out` and `secret_names` (what it does not). `private` has
every inner name of Ray that these lean on.
"""
