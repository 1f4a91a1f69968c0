"""Sweeps that run elsewhere, or have ended: jobs on a cluster, submission, control, logs, what was recorded.

Imports `spec` and what lies below it.
"""
