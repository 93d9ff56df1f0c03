"""Findings from rows: the ledger, the audit, changes of code, replays, and comparisons of means.

Prints nothing and changes no row.

Doors: `ledger` (worker-seconds by class), `audit` (proposals and decisions computed again), `replay` (a trial
trained again), `code_changes` (runs with other code), `intervals` (means and differences), `factors` (the
effect of each parameter), `false_stops` (what rungs would have cost), `timed_networks` (measured latencies as
rows), `stored_predictor` (a predictor of latency from a store's rows).
"""
