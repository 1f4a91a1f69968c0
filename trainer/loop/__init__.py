"""One training run: step, averages, best epoch, health, checkpoint.

Imports `data`, `config`, `tables` and `networks`.
"""
