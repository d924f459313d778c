"""What the probe raises."""


class ServerBusy(Exception):  # noqa: N818 - named as the state machine catches it
    """Another run has the server."""
