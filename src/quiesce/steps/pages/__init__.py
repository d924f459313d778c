"""The page function: a page after each run, the overview after each policy run."""
