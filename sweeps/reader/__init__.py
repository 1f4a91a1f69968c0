"""YAML text to frozen models, with every fault at its line; knows nothing of sweeps.

Imports only `sweeps.errors`. A new kind of value in a file is read here.
"""
