"""A sweep's table to plotly figures.

Imports `analysis`. A new plot is a file here, and its line in `plots.py`.
"""
