"""The recovery point: the contract between backup, recovery and everything that reads what a run left."""
