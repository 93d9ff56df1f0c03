"""The page of a study, live: a small web server on this machine that only reads a store.

Draws no figure and computes no finding of its own: the parts of a page come from `tune_jobs.report.page` and
`tune_jobs.report.figures`. Starts and stops no run. The only web server.

Doors: `server` (serves until a signal ends it), `access` (hosts, the token, the headers of every answer).
Inside: `watching` (when a store is read), `sources` (how), `moment` (one reading as parts of a page),
`study_parts`, `trial_parts` and `store_parts` (the parts), `frames` (pages around parts), `answers` (texts as
answers), `connections` (bounds of what clients cost), `optuna_pages` (Optuna's own dashboard), `live.js` and
`enter.js` (the scripts of the pages).
"""
