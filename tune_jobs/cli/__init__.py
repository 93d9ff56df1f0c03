"""The command line: parses words, calls the other wings, prints, and returns exit codes.

Composes no report and takes no decision.

Door: `main`, the program. Inside, for each x of run, finalists, store, job and latency: `<x>_verbs` declares
options and `<x>_commands` acts. `shared_options` and `option_values` are the options that verbs share and
their values, `resolving` makes a study and its settings of them, and `telling` writes.
"""

from tune_jobs.cli.main import cli, main

__all__ = ["cli", "main"]
