"""What the probe raises."""


class ServerBusy(Exception):
    """Another run has the server."""
