"""Settings, rows, and every table of rows: optimizers, models, initialisers, losses, schedules.

Imports `networks`. A new row is one entry in its table.
"""
