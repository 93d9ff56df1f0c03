"""What a study came to, as values and frames for Python and notebooks; callbacks of its run.

Imports neither Ray nor a plotting library when it is imported, and pandas only where a frame is asked for.
Computes no decision and prints no page for a terminal.

Doors: `of_study` (`Results`), `trial_store` (the store for Python), `running` (`run_study`), `callbacks` (the
protocol of a user's own), `to_tensorboard` and `to_mlflow` (two of them). Inside: `one_trial` (a trial and
its weights), `tidy` (frames).
"""
