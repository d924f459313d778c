"""What Linux cannot show of Windows: exit codes over 255, open files, locks, case. Shown by a PowerShell on Wine."""
