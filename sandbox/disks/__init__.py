"""Disks in memory, as Windows writes them."""
