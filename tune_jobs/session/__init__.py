"""One run of a study without Ray: proposes trials, records what they report, and continues after a kill.

Starts no worker and opens no connection; a scheduler above it does that.

Doors: `state_machine` (`Session`), `settings` (the settings of a run), `attempt` (the values that a session
shares with workers), `messages` (worker to driver), `taking` (their way into a session), `report_checks` and
`own_reports` (the metrics of a report), `outcome` (how a run ended), `ending_signals` (SIGINT and SIGTERM),
`forecast` and `pace` (the work and the time of a run before it begins), `silence` (trials that say nothing).
Private: `proposals`, `resume`, `row_builder`.
"""
