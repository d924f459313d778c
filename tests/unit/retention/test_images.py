"""Which initial AMIs are retired: replaced and failed ones of backups, and none that a recovery may need."""

from datetime import timedelta

import pytest

from quiesce.retention.images import retired
from tests.support.factories.recovery import an_image
from tests.support.factories.run import NOW


def test_an_older_image_goes_once_a_newer_one_of_the_same_traits_has_been_there_for_twelve_days() -> None:
    images = [an_image("ami-1", days=60), an_image("ami-2", days=30), an_image("ami-3")]
    assert retired(images, NOW + timedelta(days=12, seconds=-1)) == ["ami-1"]
    assert retired(images, NOW + timedelta(days=12)) == ["ami-1", "ami-2"]


@pytest.mark.parametrize("trait", ["root_device", "architecture", "boot_mode", "platform", "billing"])
def test_it_stays_where_recovery_points_may_need_it(trait: str) -> None:
    """Recovery points from before the change need the older image."""
    images = [an_image("ami-1", days=60, **{trait: "as it was"}), an_image("ami-2", days=30)]
    assert retired(images, NOW) == []


@pytest.mark.parametrize("state", ["pending", "failed"])
def test_it_stays_while_the_newer_one_is_not_available(state: str) -> None:
    assert "ami-1" not in retired([an_image("ami-1", days=60), an_image("ami-2", days=9, state=state)], NOW)


def test_an_image_that_a_person_made_and_tagged_never_goes() -> None:
    images = [an_image("ami-1", days=60, by_backup=False), an_image("ami-2", state="failed", by_backup=False)]
    assert retired([*images, an_image("ami-3", days=30)], NOW) == []


def test_one_that_came_to_nothing_goes() -> None:
    assert retired([an_image("ami-1", state="failed")], NOW) == ["ami-1"]


def test_two_of_the_same_moment_never_replace_each_other() -> None:
    assert retired([an_image("ami-1"), an_image("ami-2")], NOW + timedelta(days=9)) == []
