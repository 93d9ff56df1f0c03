"""Counts of operators and bytes, and the least time that the hardware's rates allow for them.

Runs nothing on a device: every number here is counted or modelled.

Doors: `operators` (what a network does), `roofline` (the least possible time).
"""
