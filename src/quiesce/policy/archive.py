"""When a policy's monthly and yearly recovery points go into the archive of EBS, and what that needs of its rule."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from quiesce.policy.keep import Keep
from quiesce.policy.parts import PolicyModel
from quiesce.prices import ARCHIVE_DAYS, ARCHIVED_GIB_DOLLARS, DAYS_OF_A_MONTH, STORED_GIB_DOLLARS

# So many days any months in a row have together at the least, by how many they are.
SHORTEST_MONTHS = (0, 28, 59, 89, 120, 150, 181, 212, 242, 273, 303, 334)
SHORTEST_YEAR = 365
Days = Annotated[int, Field(ge=1, le=36_500, strict=True)]
PAID_DOLLARS = ARCHIVE_DAYS / DAYS_OF_A_MONTH * ARCHIVED_GIB_DOLLARS


class Archive(PolicyModel):
    """The archive of EBS, for recovery points that stay by ``monthly`` or ``yearly`` alone.

    ``after_days``: so much older than the newest generation they are when they go there. ``keep_days``: so long they
    have yet to stay by ``keep`` then, at least 90 days, which EBS bills in any case.
    """

    after_days: Days
    keep_days: Days = ARCHIVE_DAYS

    @model_validator(mode="after")
    def _is_paid_for(self) -> Self:
        if self.keep_days < ARCHIVE_DAYS:
            raise ValueError(
                f"'keep_days' is {self.keep_days}, and EBS bills {ARCHIVE_DAYS} days of the archive in any case, "
                f"${PAID_DOLLARS:.4f} for each GiB of a snapshot in full; write {ARCHIVE_DAYS} or more"
            )
        return self

    def problem(self, keep: Keep | None) -> str:
        """Say why nothing would ever go into the archive by a policy's ``keep``, with what it costs; else nothing."""
        stays = shortest_stays(keep) if keep else {}
        if not stays:
            return (
                "'archive' takes only what stays by keep.monthly or keep.yearly, and 'keep' has neither: "
                "add one of them, or leave it out"
            )
        if max(stays.values()) >= self.after_days + self.keep_days:
            return ""
        each = " and ".join(f"a {part} one may go after {days} days" for part, days in stays.items())
        left = max(0, max(stays.values()) - self.after_days)
        return (
            f"by 'keep' {each}, which is {left} days after 'archive' took it: of the archive "
            f"{max(ARCHIVE_DAYS, left)} days are billed, ${_archived(left):.4f} for each GiB of the snapshot in "
            f"full, and in the standard tier those {left} days cost at most ${_stored(left):.4f} for a GiB. "
            f"'keep_days' asks for {self.keep_days}: keep more months or years, or archive earlier"
        )


def shortest_stays(keep: Keep) -> dict[str, int]:
    """Return how many days a monthly and a yearly recovery point stay at the least, where ``keep`` has such.

    One of the last day of its month is the first that may go, on the first day of the month after the last that counts.
    """
    months, years = keep.monthly - 1, keep.yearly - 1
    stays = {
        "monthly": months // 12 * SHORTEST_YEAR + SHORTEST_MONTHS[months % 12] + 1,
        "yearly": years * SHORTEST_YEAR + 1,
    }
    return {part: days for part, days in stays.items() if getattr(keep, part)}


def _archived(days: int) -> float:
    return max(ARCHIVE_DAYS, days) / DAYS_OF_A_MONTH * ARCHIVED_GIB_DOLLARS


def _stored(days: int) -> float:
    return days / DAYS_OF_A_MONTH * STORED_GIB_DOLLARS
