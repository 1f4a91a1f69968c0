"""What a sweep will cost: trials, epochs, time, memory, disk. Pure.

Imports `spec` and what lies below it.
"""
