"""Studies as jobs of a Ray cluster: submitted, listed, followed and stopped.

Runs no trial in this process.

Doors: `submit` (the four acts), `job` (its values), `versions` (the client's and the job's). Private:
`client` (a guarded Ray client), `upload`, `left_out` and `secret_names` (which files go along).
"""
