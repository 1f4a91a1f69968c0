"""Profiles of Hypothesis: `ci`, which tries the same examples every time, and `thorough`, which draws others."""

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("thorough", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("ci")
