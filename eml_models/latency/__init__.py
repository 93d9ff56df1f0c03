"""Latency of networks: how long a forward pass takes on a device, why, and in which form it is fastest.

Trains nothing, and no other part of `eml_models` imports it.

Doors: `deploy` (the fastest form of a network), `predictor` (time from counts), and the doors of its four
rooms.
"""
