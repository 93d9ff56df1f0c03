"""The command line: parses words, calls, prints, and returns exit codes.

Composes no report and takes no decision.

Doors: `main` (the program). Inside: `<x>_verbs` declares the options, `<x>_commands` acts, for run, finalist,
store, job and latency.
"""

from tune_jobs.cli.main import cli, main

__all__ = ["cli", "main"]
