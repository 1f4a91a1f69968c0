"""What numbers of a sweep show, and how sure one can be: plain values in, frozen results out. Pure.

Retrainings: `arms` and `comparison` are the ways in, with `intervals`, `sign_flips`, `power` and `pairs` below them;
`race` says who goes on, `levels` which error each look may spend. Imports `names` and `ranking`; reads no table and
writes no sentence. A new statistic is a file here, with its source in the docstring.
"""
