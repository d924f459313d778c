"""Property tests here try the same examples on every run: one that fails, fails on every machine."""

from hypothesis import settings

settings.register_profile("unit", max_examples=60, derandomize=True, deadline=None, database=None)
settings.load_profile("unit")
