"""The steps of the doctor machine: list, examine, give up and tell."""
