"""Property tests here are the same on every run: a red one must be red for everybody."""

from hypothesis import settings

settings.register_profile("unit", max_examples=60, derandomize=True, deadline=None, database=None)
settings.load_profile("unit")
