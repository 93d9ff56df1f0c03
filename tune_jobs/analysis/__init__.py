"""Findings from rows: where the time went, whether each decision follows from the rules, and how far means
can be trusted.

Prints nothing and changes no row.

Doors: `ledger` (worker-seconds by class), `audit` (decisions computed again), `replay` (a trial trained
again), `intervals` (means and differences), `factors` (effect of each parameter).
"""
