"""One trial of own training in this process: what its function gets, says and saves.

Decides nothing about a search, and knows neither Ray nor the driver.

Doors: `trial_run` (the object that a training function gets), `own_attempt` (its reports, one after the
other), `saved_state` (what it saves, as a file's content).
"""
