"""The doctor and Plan judge an inventory by the same code: of the same fact neither says what the other does not."""

from typing import Any

import pytest

from quiesce.backup.shadow_plan import plan_shadow_copies
from quiesce.doctor.findings import Finding, levels_of
from quiesce.doctor.inside import Asked, found_inside
from quiesce.doctor.inventoried import LEAST_STORAGE, LOW_BYTES, words_before
from quiesce.doctor.shadow import found_of_vss
from quiesce.guest.answers import Answer
from quiesce.guest.inventory import Inventory
from quiesce.points.parts import Device
from quiesce.policy.target import TargetSettings
from tests.support.factories.run import a_plan
from tests.support.layouts import LAYOUTS

MIB = 2**20
ANSWER = Answer(quiesce=1, ok=True)
EVERYTHING = TargetSettings.model_validate({"vss": {}, "scripts": {}})
WELL = LAYOUTS["NTFS with a letter"].found


def changed(**changes: Any) -> Inventory:
    return Inventory.model_validate(WELL.model_dump(by_alias=True) | changes, by_alias=True)


def windows(name: str, version: str, **more: Any) -> dict[str, Any]:
    return {"version": version, "name": name, "installation": "Server", "productType": 3, **more}


def with_first_drive(**changes: Any) -> Inventory:
    first, *others = WELL.model_dump(by_alias=True)["drives"]
    return changed(drives=[first | changes, *others])


def storage(max_bytes: int) -> Inventory:
    guid = WELL.drives[0].volume_guid
    return changed(
        shadowStorage=[
            {"volumeGuid": guid, "storageGuid": guid, "usedBytes": 0, "allocatedBytes": 0, "maxBytes": max_bytes}
        ]
    )


def components(*versions: str | None) -> Inventory:
    return changed(awsComponents={"values": [{"fileVersion": each} for each in versions], "why": ""})


SERVERS: dict[str, Inventory] = {
    **{name: layout.found for name, layout in LAYOUTS.items()},
    "a client": changed(windows=windows("Windows 10", "10.0.19045", installation="Client", productType=1)),
    "Windows Server 2008": changed(windows=windows("Windows Server 2008", "6.0.6003")),
    "PowerShell 4": changed(powershell={"version": "4.0", "languageMode": "FullLanguage"}),
    "constrained PowerShell": changed(powershell={"version": "5.1", "languageMode": "ConstrainedLanguage"}),
    "ProgramData is full": changed(programDataFreeBytes=LOW_BYTES - 1),
    "ProgramData has blanks in its name": changed(programData="D:\\Program Data"),
    "a full volume": with_first_drive(freeBytes=LEAST_STORAGE - 1),
    "a small limit": storage(LEAST_STORAGE - 1),
    "an enough limit": storage(LEAST_STORAGE),
    "no components of AWS": components(),
    "old components of AWS": components("2.2.1.0"),
    "new components of AWS": components("2.5.1"),
    "components of AWS without a version": components(None),
}
# What only the doctor asks, or what only it sees from outside, is no fact of the inventory.
OF_THE_INVENTORY = {
    "Windows for scripts",
    "Windows for VSS",
    "PowerShell",
    "room for sessions",
    "room for shadow copies",
    "shadow storage",
    "AwsVssComponents",
}


def doctors(inventory: Inventory) -> dict[str, Finding]:
    asked = Asked(ANSWER, "", None, inventory)
    devices = [Device(volume_id=each.volume_id, device=each.device) for each in a_plan(3, EVERYTHING).volumes]
    return {each.check: each for each in [*found_inside(asked), *found_of_vss(asked, devices)]}


@pytest.mark.parametrize("name", SERVERS)
def test_doctor_and_plan_say_the_same_of_the_same_inventory(name: str) -> None:
    inventory = SERVERS[name]
    said, plan = doctors(inventory), a_plan(3, EVERYTHING)
    planned = plan_shadow_copies(plan, inventory)
    copied = [volume.volume_guid for volume in planned.plan.volumes] if planned.plan else []
    notes = words_before(inventory, plan.settings, copied)
    volumes = said["volumes for VSS"]
    assert (volumes.status, volumes.words if volumes.status == "bad" else "") == (
        "bad" if planned.obstacle else "good",
        planned.obstacle,
    )
    bad = {check for check, each in said.items() if each.status == "bad"} & OF_THE_INVENTORY
    of_vss = {"room for shadow copies", "shadow storage", "AwsVssComponents", "Windows for VSS"}
    expected = bad if copied else bad - of_vss
    assert {note.partition(": ")[0] for note in notes} == expected
    assert all(f"{check}: {said[check].words}; {said[check].remedy}" in notes for check in expected)
    levels = {each.level: each.ready for each in levels_of([*said.values()])}
    assert not (planned.obstacle and levels["vss"] == "yes")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no components of AWS", "they are not installed; quiesce's own VSS does not need them"),
        ("a small limit", "its limit is too small: C: 319 MiB"),
        ("a full volume", "too little is free: C: 319 MiB"),
        ("ProgramData is full", "511 MiB are free in ProgramData"),
        ("PowerShell 4", "PowerShell 4.0 in FullLanguage"),
    ],
)
def test_what_a_server_lacks_is_a_word_in_the_runs_notes(name: str, words: str) -> None:
    inventory = SERVERS[name]
    assert any(
        words in note for note in words_before(inventory, EVERYTHING, [each.volume_guid for each in WELL.drives])
    )


def test_a_run_that_asks_for_no_vss_hears_nothing_of_vss() -> None:
    scripts = TargetSettings.model_validate({"vss": "off", "scripts": {}})
    for name in ("no components of AWS", "a small limit", "a full volume", "a client"):
        assert words_before(SERVERS[name], scripts, []) == []
    assert len(words_before(SERVERS["PowerShell 4"], scripts, [])) == 1


def test_a_server_that_was_asked_by_an_older_document_lacks_no_components() -> None:
    assert "AwsVssComponents" not in doctors(WELL)
    assert words_before(WELL, EVERYTHING, [each.volume_guid for each in WELL.drives]) == []
