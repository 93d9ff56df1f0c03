"""The command line: parses words, calls the other wings, prints, and returns exit codes.

Composes no report and takes no decision.

Door: `main`, the program. Inside, for each x of run, finalists, store (what shows it), board, network
(of a trial), upkeep (of a store), job and latency: `<x>_verbs` declares options and `<x>_commands` acts.
`shared_options` and `option_values` are the options that verbs share and their values, `resolving` makes a
study and its settings of them, `dry_run` shows what a run would do, `given_once` refuses a second value of an
option, `verb_groups` has the headings of the help, and `telling` writes.
"""

from tune_jobs.cli.main import cli, main

__all__ = ["cli", "main"]
