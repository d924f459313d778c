"""The local console: the overview in a browser, for one person on this machine."""
