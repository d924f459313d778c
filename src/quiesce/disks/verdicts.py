"""What Verify can find of a shadow copy in the snapshots, and of building a volume as of it."""

from typing import Literal

Verdict = Literal["present", "absent", "damaged", "not verifiable"]
BuildVerdict = Literal["buildable", "not buildable", "not known"]
