"""How long EBS itself keeps a policy's recovery points from being deleted, by whomever."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from quiesce.policy.parts import PolicyModel


class Lock(PolicyModel):
    """The EBS snapshot lock of each whole recovery point.

    ``mode``: ``governance`` can be ended by whoever has the right to, ``compliance`` by nobody, AWS included.
    ``days``: from the end of its run on. ``cool_off_hours``: so long a ``compliance`` lock can still be ended.
    ``i_know``: must be true for ``compliance``.
    """

    mode: Literal["governance", "compliance"]
    # As EC2 takes them (API reference, LockSnapshot).
    days: Annotated[int, Field(ge=1, le=36_500, strict=True)]
    cool_off_hours: Annotated[int, Field(ge=1, le=72, strict=True)] = 0
    i_know: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _is_meant(self) -> Self:
        if self.mode == "governance" and self.cool_off_hours:
            raise ValueError("'cool_off_hours' is of 'compliance' alone: a 'governance' lock can be ended at any time")
        if self.mode == "compliance" and not self.i_know:
            raise ValueError(
                "a 'compliance' lock can't be undone: nobody, not even AWS, deletes what it holds before its days are "
                "over, and all of it is paid for; add 'i_know: true' if that is meant"
            )
        return self
