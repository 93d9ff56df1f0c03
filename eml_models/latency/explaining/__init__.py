"""Explanations of measured times: where a step's time goes, and which of the five hypotheses hold.

Measures nothing itself; `bench` does.

Doors: `campaign` (a question and its findings), `investigation` (runs a campaign), `waterfall` (shares of a
step), `verdicts` (judgements with evidence).
"""
