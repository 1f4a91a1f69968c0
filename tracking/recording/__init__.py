"""Events, the journal on disk, the recorder, delivery to MLflow.

Imports `store`. A new kind of event begins in `events.py`.
"""
