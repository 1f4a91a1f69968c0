"""Methods: which configuration is tried next. Pure but for Optuna.

Imports `space`, `trials` and `reader`. A new method is a class in a file here, and its row in `methods.py`.
"""
