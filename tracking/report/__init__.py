"""The report: the page, Markdown with still pictures, tables for other programs, and their files on disk.

Imports `plots` and `analysis`.
"""
