"""What can be built out of a recovery point, planned as values."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from quiesce.disks.raw import BLOCK_BYTES, NotRead
from quiesce.disks.search import Evidence, ExpectedCopy, examine
from quiesce.disks.shadow_copies import Disk, unread_disk
from quiesce.revert import look as look_module
from quiesce.revert.look import Looked, Parents, look
from quiesce.revert.plan import PlannedChild, description_of, keys_of_child, tags_of_child, token_of
from quiesce.revert.request import RawSnapshot, WantedCopy
from tests.unit.disks.ntfs_disks import an_ntfs_disk
from tests.unit.disks.shadow_disks import CREATED_AT, SET_ID, a_volume, an_id, seen

GIB = 1 << 30
C, D = (RawSnapshot(snapshot_id=f"snap-{d}", volume_id=f"vol-{d}", device=f"xvd{d}", size_gib=1) for d in "cd")


def wanted(name: str = "C") -> WantedCopy:
    return WantedCopy(shadow_id=str(an_id(name)), path=f"{name}:\\", volume_id=f"vol-{name.lower()}")


def found(disks: list[Disk], *names: str) -> Iterable[tuple[WantedCopy, Evidence]]:
    evidence = examine(disks, [ExpectedCopy(an_id(name), SET_ID, None, CREATED_AT) for name in names])
    return zip(map(wanted, names), evidence, strict=True)


def a_disk(**changes: object) -> Disk:
    (disk,) = an_ntfs_disk(size_bytes=GIB, **changes).read()
    return disk


def looked(**changes: object) -> Looked:
    disks = [a_disk(**changes)]
    return look(disks, found(disks, "C"), [C])


def only(plan: Looked) -> PlannedChild:
    (child,) = plan.children
    return child


def test_a_volume_that_can_be_built_gets_a_child_of_its_raw_snapshot() -> None:
    plan = looked()
    child, (copy,) = only(plan), plan.copies
    assert not plan.refusals
    assert (child.snapshot_id, child.volume_id, child.device, child.size_gib) == ("snap-c", "vol-c", "xvdc", 1)
    assert [(view.shadow_id, view.path, view.as_of) for view in child.views] == [
        (str(an_id("C")), "C:\\", CREATED_AT.replace(microsecond=123456))
    ]
    assert (copy.verdict, copy.volume_id, copy.snapshot_id) == ("buildable", "vol-c", "snap-c")
    assert (copy.blocks_read, copy.blocks_written) == (child.blocks_read, child.blocks_written)
    assert child.blocks_written >= 1


def test_a_volume_that_cannot_be_built_is_refused_in_words_and_gets_no_child() -> None:
    plan = looked(replayed=False)
    assert plan.children == []
    (refusal,) = plan.refusals
    assert refusal.startswith(f"C:\\ is not buildable as of its shadow copy {an_id('C')}: the log of NTFS is not clean")
    assert plan.estimate.dollars < 0.001


def test_what_could_not_be_read_is_not_known_and_never_not_buildable() -> None:
    disks = [unread_disk("snap-c", NotRead("the function had no time left"))]
    plan = look(disks, found(disks, "C"), [C])
    assert [copy.verdict for copy in plan.copies] == ["not known"]
    assert "the function had no time left" in plan.refusals[0]


def test_a_shadow_copy_that_is_not_there_is_not_buildable() -> None:
    disks = [seen("snap-c", a_volume("C", GIB).disk)]
    plan = look(disks, found(disks, "C"), [C])
    assert [(copy.verdict, copy.as_of) for copy in plan.copies] == [("not buildable", None)]
    assert "it is absent" in plan.refusals[0]


def test_a_disk_whose_volume_has_other_shadow_copies_gets_a_child_that_only_forgets_them() -> None:
    other = a_volume("D", GIB)
    other.add_shadow_copy(an_id("another"), an_id("another set"), CREATED_AT)
    disks = [a_disk(), seen("snap-d", other.disk)]
    plan = look(disks, found(disks, "C"), [C, D])
    of_d = next(child for child in plan.children if child.snapshot_id == "snap-d")
    assert [(view.shadow_id, view.as_of) for view in of_d.views] == [("", None)]
    assert of_d.blocks_written == 1
    assert "vol-d without shadow copies" in description_of(of_d, "r-1")
    # Where nothing is built, these shadow copies stay.
    assert look(disks[1:], (), [D]).children == []


@pytest.mark.parametrize("most", [1, 2, 7, 4000])
def test_parts_cover_the_whole_disk_once_in_order_with_bounded_work(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(look_module, "PART_BLOCKS", most)
    child = only(looked())
    edges = [(part.first, part.after) for part in child.parts]
    assert edges[0][0] == 0
    assert edges[-1][1] == GIB // BLOCK_BYTES
    assert [after for _, after in edges[:-1]] == [first for first, _ in edges[1:]]
    assert sum(part.blocks for part in child.parts) == child.blocks_written
    assert max(part.blocks for part in child.parts) <= most


def test_a_parent_without_encryption_is_copied_first_where_the_account_encrypts_by_default() -> None:
    disks = [a_disk()]
    for unencrypted, by_default, copied in (({"snap-c"}, True, True), ({"snap-c"}, False, False), (set(), True, False)):
        plan = look(disks, found(disks, "C"), [C], Parents(unencrypted, encrypted_by_default=by_default))
        assert only(plan).copied_first is copied
        assert plan.estimate.copied_gib == (1 if copied else 0)
        assert ("EBS copies 1 GiB" in plan.estimate.words) is copied


# What makes a child the same one.


def test_a_plan_that_is_made_again_has_the_same_token_tags_and_description() -> None:
    one, two = only(looked()), only(looked())
    assert token_of(one, "r-1", "stack") == token_of(two, "r-1", "stack")
    assert tags_of_child(one, "r-1", "stack", "i-1") == tags_of_child(two, "r-1", "stack", "i-1")
    assert description_of(one, "r-1") == description_of(two, "r-1")
    assert one == PlannedChild.model_validate_json(two.model_dump_json())


def test_another_content_owner_or_stack_has_another_token() -> None:
    child = only(looked())
    (view,) = child.views
    others = [
        child.model_copy(update={"views": [view.model_copy(update={"shadow_id": ""})]}),
        child.model_copy(update={"views": [view.model_copy(update={"start": 0})]}),
        child.model_copy(update={"snapshot_id": "snap-d"}),
        child.model_copy(update={"copied_first": True}),
    ]
    tokens = [token_of(each, "r-1", "stack") for each in (child, *others)]
    tokens += [token_of(child, "r-2", "stack"), token_of(child, "r-1", "other")]
    assert len(set(tokens)) == len(tokens)
    keys = [str(keys_of_child(each, "r-1", "stack")) for each in (child, *others)]
    assert len(set(keys)) == len(keys)


def test_a_description_fits_ebs_and_begins_as_the_template_allows() -> None:
    child = only(looked())
    words = description_of(child, "r" * 300)
    assert len(words) == 255
    assert description_of(child, "r-1") == (
        "quiesce built of snap-c for r-1: vol-c as of its shadow copy of 2026-05-04 03:02:01 UTC"
    )


def test_reasons_are_bounded_because_a_state_document_is() -> None:
    disks = [a_disk()]
    evidence = [(wanted(), replace(pair[1], verdict="damaged", reason="x" * 5000)) for pair in found(disks, "C")]
    assert len(look(disks, evidence, [C]).copies[0].reason) == 300
