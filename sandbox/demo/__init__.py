"""The demo: a Windows server backed up and recovered."""
