"""Studies as jobs of a Ray cluster: submitted, listed, followed and stopped.

Runs no trial in this process.

Doors: `submit` (the four acts), `job` (its values). Private: `client` (a guarded Ray client), `upload`,
`left_out` and `secret_names` (which files go along).
"""
