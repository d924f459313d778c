"""Windows on a simulated server: the guest, its sessions, VSS, and a busy application."""
