"""Code that runs in a worker process: one attempt of a trial.

Opens no store, and takes no decision about the search.

Doors: `payload` (all that a worker gets), `trainable` (one attempt), `registered` (the user's parts in this
process), `shared_data` (the data set from Ray's object store), `store_probe` (does the worker see the
store?), `gpu_limit` (the process kept within its share). Inside: `training_thread`, `watching` (ends a silent
process), `placing` (its node), `capturing` (logs of attempts).
"""
