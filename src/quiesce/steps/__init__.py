"""Decide and do: one package a state machine."""
