"""The states of the backup machine: one module a state."""
