"""One run of a study without Ray: proposes trials, records what they report, and continues after a kill.

Starts no worker and opens no connection; a scheduler above it does that.

Doors: `state_machine` (`Session`), `settings` (how to run), `outcome` (what came of a run), `attempt` (what a
worker gets and returns). Private: `resume`, `proposals`, `row_builder`, `report_checks`.
"""
