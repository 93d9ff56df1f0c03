"""The command line. `main` has the group of verbs and the exit codes.

For run, finalists, store, job and latency `<x>_verbs` parses the words with click, and its twin
`<x>_commands` acts. `resolving` makes studies and settings of options.
"""

from tune_jobs.cli.main import cli, main

__all__ = ["cli", "main"]
