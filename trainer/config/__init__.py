"""TrialConfig: the settings of every trial, their contradictions, rows of the user's own.

Imports `tables`. A new setting is an entry in `trial_settings.py`.
"""
