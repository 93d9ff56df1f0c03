"""The only package that knows Ray: it lets Ray Tune schedule what a session hands out.

Reading order: `settings` (how a study is run), `runner` (one run from start to end), `tuning` (the Tune run),
`bridge` (Tune's hooks, answered by the session), `trainable` (what runs on a worker).
"""
