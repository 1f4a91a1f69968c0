"""What is known of trials: the ledger, what better means, seeds, which trials are retrained. Pure.

Imports `space` and `reader`. A new metric to judge by is an entry in `objectives.py`.
"""
