"""Parts for tests of searches: rows, a log in memory, a clock, a simulator, a run in this process, contracts.

No run needs it, and no other wing imports it. It starts no Ray and writes to no disk.

Doors: every file. Authors of a sampler or a file system of their own run the suites of `contracts` on it.
"""
