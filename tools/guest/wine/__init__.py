"""A PowerShell on Wine shows what Linux cannot show of Windows: exit codes over 255, open files, locks, case."""
