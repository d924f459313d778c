"""The steps of the retention machine: plan, mark, finish and tell."""
