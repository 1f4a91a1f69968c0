"""A sweep's table to findings: leaderboard, Pareto front, accuracy of the plan, labels. Pure.

Imports `names` and `table`.
"""
