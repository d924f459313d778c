"""DiskShadow's script, its log and its outcome, and the meaning of HRESULTs; knows nothing of AWS."""
