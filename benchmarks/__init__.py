"""Benchmarks: whole runs in fresh processes, compared as ratios within one invocation; not installed."""
