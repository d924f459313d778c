"""Bytes of a disk become partitions, volsnap's structures and shadow copies; knows nothing of AWS."""
