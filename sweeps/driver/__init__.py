"""Ray's side of a sweep: Tuner, searcher, scheduler, callback, preflight, cluster, outcome.

Imports everything but `cli` and `remote`. `driver.py` alone makes a Tuner.
"""
