"""The states of the recover machine."""
