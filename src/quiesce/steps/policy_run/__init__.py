"""The states of the policy machine, one module each."""
