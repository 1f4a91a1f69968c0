"""What a parameter can be, and what an arm can draw.

Imports `reader`. A new distribution is a class in a file here, and an entry in `parameters.py`.
"""
