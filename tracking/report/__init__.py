"""The report: the page and its files on disk.

Imports `plots` and `analysis`.
"""
