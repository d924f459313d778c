"""DiskShadow's scripts, logs and outcomes, and what HRESULTs mean; knows nothing of AWS."""
