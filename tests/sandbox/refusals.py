"""The error codes with which the simulated AWS refuses a call."""

import pytest
from botocore.exceptions import ClientError


def refused(call, *args, **kwargs):
    """Return the error code with which AWS refuses a call."""
    with pytest.raises(ClientError) as refusal:
        call(*args, **kwargs)
    return refusal.value.response["Error"]["Code"]
