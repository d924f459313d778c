"""Volumes as of their shadow copies, built in AWS: what to build out of a recovery point, and what it takes. Pure."""
