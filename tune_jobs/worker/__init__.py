"""One attempt of a trial in this process: from its recipe to the messages that it sends.

Decides nothing about a search, and knows no Ray.

Doors: `training` (the messages of an attempt), `inline` (a whole run in this process), `trial_run` (what a
user's training function gets), `timing_process` (a process that times networks of a user's own families).
Inside: `own_attempt` (the reports of such a function), `saved_state` (what it saves), `describing_worker`,
`describing_card` and `describing_failure` (contents of messages), `failure_lines` and `user_frames` (words on
failed attempts).
"""
