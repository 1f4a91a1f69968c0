"""The networks and what they are made of.

Imports only `trainer.randomness`. A new network is a class in a file here, and its row in `tables/models.py`.
"""
