"""Measurement of one network in one mode on this machine: warm-up, synchronisation, median, spread and
conditions.

Does not explain the time, and compares no networks.

Doors: `modes` (precision, layout and form of execution), `timing` (one measurement), `preparing` (a network
brought into a mode), `of_recipe` (the latency of a recipe's network).
"""
