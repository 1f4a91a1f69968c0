"""A sweep's table to findings: leaderboard, Pareto front, accuracy of the plan, rows, labels. Pure.

`compare` lays several sweeps beside each other, `replayed` a trial that was trained again beside its record.

Imports `names` and `table`.
"""
