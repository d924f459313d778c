"""What the simulated AWS refuses, by its error code."""

import pytest
from botocore.exceptions import ClientError


def refused(call, *args, **kwargs):
    """Return the code of the error that a call ends in."""
    with pytest.raises(ClientError) as refusal:
        call(*args, **kwargs)
    return refusal.value.response["Error"]["Code"]
