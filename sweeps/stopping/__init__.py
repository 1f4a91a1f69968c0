"""Early-stopping rules: which trials go on. Pure, one algorithm a file.

Imports `space`, `trials` and `reader`. A new rule is a file here, and its row in `rules.py`.
"""
