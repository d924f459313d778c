"""What the probe raises."""


class ServerBusy(Exception):
    """Another run holds the server."""
