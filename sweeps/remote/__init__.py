"""Sweeps that run elsewhere: jobs on a cluster, submission, control, logs.

Imports `spec` and what lies below it.
"""
