"""The cluster files, run: the image in containers, `ray up` on three hosts, compose, pods by hand, metrics.

`python -m benchmarks.cluster PART...` runs a part and writes what it saw into `benchmarks/results/cluster`.
The parts: `image`, `onpremise`, `compose`, `cloud`, `pods`, `metrics`, each in the module of that name. They
share `engine` (Docker or podman), `hosts` (three hosts on one machine), `waiting`, and `findings` (the log).
"""
