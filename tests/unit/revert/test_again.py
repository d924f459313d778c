"""A planned child, opened again: what is not there any more, or is another one, is never built in its place."""

from dataclasses import replace

import pytest

from quiesce.disks.raw import Malformed, NotRead
from quiesce.disks.shadow_copies import Disk, unread_disk
from quiesce.revert.again import reopen
from quiesce.revert.plan import PlannedChild
from tests.unit.disks.shadow_disks import an_id
from tests.unit.revert.test_look import a_disk, looked, only


def planned(**changes: object) -> PlannedChild:
    """Return the child of a server's C:, with another first view."""
    child = only(looked())
    return child.model_copy(update={"views": [child.views[0].model_copy(update=changes)]})


def with_faults(disk: Disk, fault: Exception) -> Disk:
    return replace(disk, volumes=[replace(volume, fault=fault) for volume in disk.volumes])


def test_a_child_is_opened_again_as_it_was_planned() -> None:
    child = only(looked())
    again = reopen([a_disk()], child)
    (view,) = again.views
    assert view.volume.extent.start == child.views[0].start


def test_a_volume_that_stays_as_it_is_needs_no_shadow_copy() -> None:
    (view,) = reopen([a_disk()], planned(shadow_id="", store_id="")).views
    assert view.volume.extent.length == planned().views[0].length


@pytest.mark.parametrize("changes", [{"start": 512}, {"length": 512}])
def test_a_volume_that_is_not_where_it_was_is_malformed(changes: dict[str, int]) -> None:
    with pytest.raises(Malformed, match="is not there any more"):
        reopen([a_disk()], planned(**changes))


def test_a_volume_that_is_missing_on_a_disk_that_could_not_be_read_is_not_read() -> None:
    """Another call may read it: nothing says that it is gone."""
    with pytest.raises(NotRead, match="no time left"):
        reopen([unread_disk("snap-c", NotRead("the function had no time left"))], planned())


@pytest.mark.parametrize("fault", [NotRead("EBS throttles"), Malformed("its catalog is torn")])
def test_a_volume_whose_catalog_could_not_be_read_says_why_it_lists_no_copy(fault: Exception) -> None:
    with pytest.raises(type(fault), match=str(fault)):
        reopen([with_faults(a_disk(), fault)], planned(store_id=str(an_id("another store"))))


def test_a_store_that_the_catalog_does_not_list_any_more_is_malformed() -> None:
    with pytest.raises(Malformed, match=f"does not list the shadow copy {an_id('C')}"):
        reopen([a_disk()], planned(store_id=str(an_id("another store"))))


def test_a_store_of_another_shadow_copy_is_never_taken_for_the_planned_one() -> None:
    """Windows may use a store's place again."""
    with pytest.raises(Malformed, match="is of another shadow copy than"):
        reopen([a_disk()], planned(shadow_id=str(an_id("another"))))
