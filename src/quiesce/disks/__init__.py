"""Reads partitions, volsnap's structures and shadow copies out of the bytes of disks; knows nothing of AWS."""
