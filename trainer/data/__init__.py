"""Data sets as arrays, their split, augmentation, batches on the device.

Imports `config`. A new data set is a file here, and its case in `load.py`.
"""
