"""Code that runs in a worker process: one attempt of a trial.

Opens no store, and takes no decision about the search.

Doors: `trainable` (one attempt), `registered` (the user's parts in this process), `shared_data` (the data set
from Ray's object store), `gpu_limit` (the process kept within its share); `training_thread`.
"""
