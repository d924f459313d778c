"""Which objects in the bucket are a policy's scripts for a server."""

import pytest

from quiesce.errors import PolicyRefused
from quiesce.guest.scripts import SCRIPTS, choose, choose_writers_files, places
from quiesce.vss.writer_files import Kind
from tests.support.factories.run import INSTANCE

OTHER = "i-0fedcba9876543210"


def chosen(*keys: str, policy: str = "files", owner: str = "admin") -> dict[str, str | None]:
    return dict(choose(keys, owner=owner, instance_id=INSTANCE, policy=policy))


NONE: dict[str, str | None] = dict.fromkeys(SCRIPTS)


def test_the_servers_own_folder_comes_before_the_owners() -> None:
    assert places("admin", INSTANCE) == (f"scripts/admin/{INSTANCE}/", "scripts/admin/")


@pytest.mark.chapter("6.4.1 central")
def test_each_script_is_taken_from_the_first_folder_that_has_it() -> None:
    own, shared = f"scripts/admin/{INSTANCE}/before_files.ps1", "scripts/admin/before_files.ps1"
    after = "scripts/admin/after_files.ps1"
    assert chosen(shared, after, own) == NONE | {"before": own, "after": after}


@pytest.mark.parametrize(
    "name", ["before_files.ps1", "before_files.ps", "before_files", "Before_files.PS1", "BEFORE_files.Ps"]
)
@pytest.mark.chapter("6.4 extension")
def test_a_name_with_any_prefixs_case_and_with_or_without_its_extension_is_a_script(name: str) -> None:
    assert chosen(f"scripts/admin/{name}")["before"] == f"scripts/admin/{name}"


@pytest.mark.parametrize(
    "key",
    [
        "scripts/admin/before_Files.ps1",
        "scripts/admin/before_files2.ps1",
        "scripts/admin/before_files.ps1.bak",
        "scripts/admin/before_files.psm1",
        "scripts/admin/before_files.prod",
        "scripts/admin/before_files..ps1",
        "scripts/admin/before_files2.prod.ps1",
        "scripts/admin/before_files.cmd",
        "scripts/admin/before_files.ps1\n",
        "scripts/admin/before_files.p\u017f1",
        "scripts/admin/ before_files.ps1",
        "scripts/admin/xbefore_files.ps1",
        "scripts/admin/",
        "scripts/before_files.ps1",
        "scripts/finance/before_files.ps1",
        f"scripts/admin/{OTHER}/before_files.ps1",
        f"scripts/admin/{INSTANCE}/deeper/before_files.ps1",
        f"scripts/finance/{INSTANCE}/before_files.ps1",
        "before_files.ps1",
        "",
    ],
)
def test_what_lies_elsewhere_or_is_called_otherwise_is_no_script(key: str) -> None:
    assert chosen(key) == NONE


@pytest.mark.chapter("6.4 names")
def test_something_may_stand_before_the_extension_where_no_object_is_called_without_it() -> None:
    longer, plain = "scripts/admin/Before_files.test.1.ps1", "scripts/admin/before_files"
    assert chosen(longer)["before"] == longer
    assert chosen(longer, plain, "scripts/admin/before_files.old.ps1")["before"] == plain
    with pytest.raises(
        PolicyRefused, match=r"before_files\.a\.ps1 and \S+before_files\.b\.ps are both the before script"
    ):
        chosen("scripts/admin/before_files.a.ps1", "scripts/admin/before_files.b.ps")


def test_a_policys_name_is_no_pattern() -> None:
    assert chosen("scripts/admin/before_fXles.ps1", policy="f.les") == NONE


@pytest.mark.parametrize("stage", SCRIPTS)
def test_two_objects_that_are_the_same_script_are_refused_by_their_keys(stage: str) -> None:
    first, second = f"scripts/admin/{stage}_files.ps1", f"scripts/admin/{stage.upper()}_files"
    with pytest.raises(PolicyRefused) as refused:
        chosen(first, second)
    assert str(refused.value) == (
        f"scripts: {first} and {second} are both the {stage} script. Remedy: leave one of them."
    )


def test_a_script_in_each_folder_is_no_doubt() -> None:
    own = f"scripts/admin/{INSTANCE}/before_files.ps1"
    assert chosen("scripts/admin/before_files.ps1", own)["before"] == own


def test_doubt_in_a_folder_that_is_not_used_does_not_matter() -> None:
    own = f"scripts/admin/{INSTANCE}/before_files.ps1"
    assert chosen(own, "scripts/admin/before_files.ps1", "scripts/admin/before_files")["before"] == own


def test_an_empty_bucket_has_no_scripts() -> None:
    assert chosen() == NONE


# ---- The files of writers --------------------------------------------------------------------------------------------


def writers_files(*keys: str) -> dict[Kind, str]:
    return choose_writers_files(keys, places("admin", INSTANCE), "SQL-nightly")


@pytest.mark.chapter("6.3.3 place")
def test_a_servers_own_file_of_writers_comes_before_the_owners() -> None:
    own, owners = f"scripts/admin/{INSTANCE}/", "scripts/admin/"
    exclude, verify = "vss_exclude_writers_SQL-nightly.txt", "VSS_Verify_Writers_SQL-nightly.TXT"
    found = writers_files(owners + exclude, own + exclude, owners + verify, f"scripts/else/{exclude}")
    assert found == {"exclude": own + exclude, "verify": owners + verify}


@pytest.mark.parametrize(
    "name", ["vss_exclude_writers_sql-nightly.txt", "vss_exclude_writers_SQL-nightly.txt.bak", "x"]
)
def test_what_is_called_otherwise_is_no_file_of_writers(name: str) -> None:
    assert writers_files(f"scripts/admin/{name}") == {}


def test_two_files_of_one_kind_in_a_folder_are_refused() -> None:
    names = ("vss_exclude_writers_SQL-nightly.txt", "VSS_EXCLUDE_WRITERS_SQL-nightly.txt")
    with pytest.raises(PolicyRefused, match="are both the list of writers to exclude"):
        writers_files(*(f"scripts/admin/{name}" for name in names))


def test_a_session_script_is_found_as_the_others_are() -> None:
    own, shared = f"scripts/admin/{INSTANCE}/Session_files.prod.ps1", "scripts/admin/session_files.ps1"
    complete = "scripts/admin/complete_files.ps1"
    assert chosen(own, shared, complete) == NONE | {"session": own, "complete": complete}
    assert chosen("scripts/admin/session_other.ps1") == NONE


@pytest.mark.parametrize("folder", [f"scripts/admin/{INSTANCE}/", "scripts/admin/"])
@pytest.mark.parametrize("stage", ["before", "after"])
def test_a_session_script_beside_one_that_it_stands_for_is_refused_in_whatever_folder(stage: str, folder: str) -> None:
    with pytest.raises(
        PolicyRefused, match=rf"session_files\.ps1 is before and after in one, .*{stage}_files\.ps1, too"
    ):
        chosen("scripts/admin/session_files.ps1", f"{folder}{stage}_files.ps1")
