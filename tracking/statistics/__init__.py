"""What numbers of a sweep show, and how sure one can be: arrays in, frozen results out. Pure.

Confirmation: intervals, arms, sign_flips, pairs, race. Search: budget_curves, targets, rungs, edges, audit, effects,
importance. Imports `names` and `ranking`; reads no table and writes no sentence. A new statistic is a file here, with
its source in the docstring.
"""
