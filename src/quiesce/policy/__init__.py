"""The policy that a person writes: its parts, its targets and its file."""
