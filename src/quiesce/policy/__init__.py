"""What a person wants: the policy, its parts and its file."""
