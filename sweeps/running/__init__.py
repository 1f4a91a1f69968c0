"""A sweep while it runs: its state, the life of a trial, budgets, replay, the live view. No Ray.

Imports `spec` and what lies below it. A new reason to stop a trial belongs in `lifecycle.py`.
"""
