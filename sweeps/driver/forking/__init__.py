"""Has a local Ray fork its workers from a process that has imported the libraries, in place of importing them in each.

`start.py` is used by the driver. `server.py` and `worker.py` are programs that it and Ray start; they import nothing of
ours, so that a worker sees no module of ours that it has not imported itself.
"""
