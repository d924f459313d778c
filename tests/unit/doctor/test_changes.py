"""What a fix would change: only what is surely wrong, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quiesce.doctor.changes import Change, changes_for
from quiesce.doctor.fix import LONGEST_S, MOST_ROUNDS, Fix, next_of
from quiesce.doctor.inside import Asked
from quiesce.doctor.outside import Outside
from quiesce.guest.agent import Agent
from quiesce.guest.answers import Answer
from quiesce.guest.examination import examination_of
from quiesce.guest.inventory import Inventory
from sandbox.windows.examination import DISABLED, SERVICES, Condition, examination
from sandbox.windows.vss import Server
from tests.support.layouts import LAYOUTS

PROFILE = "arn:aws:iam::123456789012:instance-profile/ours"
AGENT = Agent(online=True, version="3.3.3572.0", platform="Windows", windows="Windows Server 2022")
WELL = Outside("i-0123456789abcdef0", "WEB", "running", "Windows", agent=AGENT)
SILENT = Asked(None, "it was not asked")
FOUND = LAYOUTS["NTFS with a letter"].found
NOW = datetime(2026, 11, 29, tzinfo=UTC)


def asked(condition: Condition | None = None, **inventory: Any) -> Asked:
    said = examination(condition or Condition(), Server({}, []), 1.0, "i-0123456789abcdef0", set())
    examined = examination_of(Answer(quiesce=1, ok=True, examined=said))
    found = Inventory.model_validate(FOUND.model_dump(by_alias=True) | inventory, by_alias=True)
    return Asked(Answer(quiesce=1, ok=True), "", examined, found)


def settings(changes: list[Change]) -> list[tuple[str, str, str, str]]:
    return [(each.setting, each.name, each.was, each.to) for each in changes]


def test_a_server_that_lacks_nothing_is_not_changed() -> None:
    assert changes_for(WELL, asked(), PROFILE) == []


@pytest.mark.parametrize(
    ("server", "profile", "gets"),
    [
        (replace(WELL, agent=None), PROFILE, True),
        (replace(WELL, agent=replace(AGENT, online=False)), PROFILE, True),
        (replace(WELL, agent=None), "", False),
        (replace(WELL, agent=None, profile="arn:theirs"), PROFILE, False),
        (replace(WELL, agent=None, state="stopped"), PROFILE, False),
        (replace(WELL, agent=None, platform="Linux/UNIX"), PROFILE, False),
        # Default Host Management has registered it: it needs none.
        (WELL, PROFILE, False),
    ],
)
def test_a_profile_is_given_where_there_is_none_and_none_is_needed_otherwise(
    server: Outside, profile: str, gets: bool
) -> None:
    found = settings(changes_for(server, SILENT, profile))
    assert found == ([("instance profile", "", "", PROFILE)] if gets else [])


@pytest.mark.parametrize(("version", "old"), [("3.0.501.0", True), ("3.0.502.0", False), ("?", False)])
def test_an_agent_is_updated_only_if_it_is_surely_too_old(version: str, old: bool) -> None:
    server = replace(WELL, agent=replace(AGENT, version=version))
    assert bool(changes_for(server, SILENT, PROFILE)) == old


@pytest.mark.parametrize(
    ("told", "was"),
    [
        ({"values": [], "why": ""}, ""),
        ({"values": [{"fileVersion": "2.2.1.0"}], "why": ""}, "2.2.1.0"),
        ({"values": [{"fileVersion": "2.5.1"}], "why": ""}, None),
        ({"values": [{"fileVersion": None}], "why": ""}, None),
        ({"values": [], "why": "Access denied"}, None),
    ],
)
def test_components_are_installed_where_they_are_missing_or_old_and_not_where_nobody_knows(
    told: dict[str, Any], was: str | None
) -> None:
    found = settings(changes_for(WELL, asked(awsComponents=told), PROFILE))
    assert found == ([] if was is None else [("AwsVssComponents", "", was, "latest")])


def test_services_of_vss_are_enabled_and_nothing_is_changed_that_windows_does_not_tell() -> None:
    services = SERVICES | {"VSS": DISABLED, "swprv": DISABLED, "EventSystem": DISABLED, "WinDefend": DISABLED}
    assert settings(changes_for(WELL, asked(Condition(services=services)), PROFILE)) == [
        ("StartMode", "VSS", "Disabled", "Manual"),
        ("StartMode", "swprv", "Disabled", "Manual"),
        ("StartMode", "EventSystem", "Disabled", "Auto"),
        ("State", "EventSystem", "Stopped", "Running"),
    ]
    silent = Condition(services=services, unanswered={"services"})
    assert changes_for(WELL, asked(silent), PROFILE) == []


@pytest.mark.parametrize(("size", "to"), [(100 * 2**30, 20 * 2**30), (2**30, 320 * 2**20)])
def test_a_limit_that_is_too_small_becomes_a_fifth_of_the_volume_but_not_less_than_vss_needs(
    size: int, to: int
) -> None:
    first, *others = FOUND.model_dump(by_alias=True)["drives"]
    guid = first["volumeGuid"]
    storage = {"volumeGuid": guid, "storageGuid": guid, "usedBytes": 0, "allocatedBytes": 0, "maxBytes": 7}
    drives = [first | {"sizeBytes": size}, *others]
    [change] = changes_for(WELL, asked(drives=drives, shadowStorage=[storage]), PROFILE)
    assert (change.setting, change.name, change.was, change.to) == ("MaxSpace", "C:", "7", str(to))
    assert guid == f"\\\\?\\Volume{{{change.subject}}}\\"
    unknown = [first | {"sizeBytes": None}, *others]
    assert changes_for(WELL, asked(drives=unknown, shadowStorage=[storage]), PROFILE) == []


VSS = Change(setting="StartMode", subject="VSS", name="VSS", was="Disabled", to="Manual")
GIVEN = Change(setting="instance profile", was="", to=PROFILE)


def a_fix(**changes: Any) -> Fix:
    return Fix(id="fix-1", instance_id="i-1", execution="e", begun_at=NOW, **changes)


def test_what_a_setting_was_at_first_stays_however_often_it_is_planned() -> None:
    fix = a_fix().planning([VSS]).with_outcome(VSS, "failed", "no")
    again = fix.planning([VSS.model_copy(update={"was": "Boot"})])
    assert [(each.change.was, each.outcome) for each in again.made] == [("Disabled", "planned")]
    assert again.rounds == 2


def test_what_may_have_been_changed_is_given_back_last_first() -> None:
    fix = a_fix().planning([GIVEN, VSS]).with_outcome(GIVEN, "done")
    assert fix.to_give_back == [VSS, GIVEN]
    assert fix.with_outcome(VSS, "given back").to_give_back == [GIVEN]


def test_a_fix_goes_on_while_something_was_done_and_while_an_agent_may_come() -> None:
    done, failed = (a_fix().planning([VSS]).with_outcome(VSS, outcome) for outcome in ("done", "failed"))
    assert next_of(done, [VSS], online=True, now=NOW).again
    assert not next_of(failed, [VSS], online=True, now=NOW).again
    given = a_fix().planning([GIVEN]).with_outcome(GIVEN, "done")
    assert next_of(given, [], online=False, now=NOW).wait_s == 60
    assert not next_of(given, [], online=True, now=NOW).again
    assert not next_of(done, [], online=False, now=NOW).again
    late = NOW + timedelta(seconds=LONGEST_S + 1)
    assert not next_of(given, [], online=False, now=late).again
    assert not next_of(done.model_copy(update={"rounds": MOST_ROUNDS}), [VSS], online=True, now=NOW).again
