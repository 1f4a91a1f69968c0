"""MLflow: connection, runs, queries, control channel, registry, UI.

The only folder, with `recording`, that talks to MLflow. Imports `names` and `table`.
"""
