"""The command line: commands, options, printing, and what a submitted job runs.

Imports every other folder. A new command is a function in `app.py`.
"""
