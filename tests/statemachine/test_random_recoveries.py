"""Recoveries of random servers: each volume has its data, type and settings at its device, in any number and order.

The test stops some of them in a random state or wait, and starts them again under the same id.
"""

import random
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.servers import ROOT_DEVICE, Disk
from tests.statemachine.recoveries import assert_recovered, back_up
from tests.support.cloud import backend
from tests.support.factories.policy import a_policy
from tests.support.project import definition

LETTERS = "bcdefghijklmnopqrstuvwxyz"
# EC2's device names for data volumes of Windows servers, some with their other spelling (EC2 user guide).
DEVICES = [(f"xvd{a}", f"/dev/sd{a}") for a in LETTERS] + [(f"xvd{a}{b}",) for a in "bc" for b in "a" + LETTERS]
# The IOPS and MiB/s of each volume type; for gp2 EC2 describes IOPS but accepts none (EC2 API reference).
IOPS = {"gp3": (3000, 16_000), "io1": (100, 64_000), "io2": (100, 256_000)}
# IOPS for each GiB; gp3 has its first 3000 at any size, and takes 1 MiB/s for each 4 (EBS user guide).
IOPS_PER_GIB = {"gp3": 500, "io1": 50, "io2": 1000}
GP3_MIBPS = (125, 2000)
LEAST_GIB = {"io1": 4, "io2": 4, "st1": 125, "sc1": 125}
BOOTABLE = ["gp2", "gp3", "io1", "io2", "standard"]
KINDS = [*BOOTABLE, "st1", "sc1"]
KEY, OTHER_KEY = "alias/servers", "alias/recoveries"
TASKS = [name for name, state in definition("RecoverMachine")["States"].items() if state["Type"] == "Task"]
# No random server has shadow copies: nothing is looked at or built.
ON_THE_WAY = [name for name in TASKS if name not in ("Account", "Restore", "Look", "Weigh", "Revert")]
CASES = 54


@dataclass(frozen=True)
class Laid:
    """A volume of a random server, and its content."""

    disk: Disk
    kind: str
    iops: int | None
    mibps: int | None
    encrypted: bool
    goes_with_server: bool
    text: str


def fitting(kinds: list[str], size_gib: int) -> list[str]:
    return [kind for kind in kinds if size_gib >= LEAST_GIB.get(kind, 1)]


def some_iops(chance: random.Random, kind: str, size_gib: int) -> int:
    least, most = IOPS[kind]
    return chance.randint(least, max(least, min(most, IOPS_PER_GIB[kind] * size_gib)))


def some_mibps(chance: random.Random, iops: int) -> int:
    return chance.randint(GP3_MIBPS[0], min(GP3_MIBPS[1], iops // 4))


def laid(chance: random.Random, disk: Disk) -> Laid:
    kind = chance.choice(fitting(BOOTABLE if disk.device == ROOT_DEVICE else KINDS, disk.size_gib))
    iops = some_iops(chance, kind, disk.size_gib) if kind in IOPS else 3 * disk.size_gib if kind == "gp2" else None
    return Laid(
        disk,
        kind,
        iops=iops,
        mibps=some_mibps(chance, iops or 0) if kind == "gp3" else None,
        encrypted=chance.random() < 0.3,
        goes_with_server=chance.random() < 0.5,
        text=f"{disk.drive} {chance.random()}",
    )


def a_layout(chance: random.Random) -> list[Laid]:
    """Return 1 to 27 volumes in the order of their attachment; drives are in no order, and some are folders."""
    number = chance.choice([0, 1, 2, 3, 5, 8, 13, 26])
    drives = [f"{letter}:" for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"] + [rf"D:\mount\{n}" for n in range(10)]
    devices = [chance.choice(names) for names in chance.sample(DEVICES, number)]
    data = [
        Disk(device, chance.randint(1, 500), drive)
        for device, drive in zip(devices, chance.sample(drives, number), strict=True)
    ]
    return [laid(chance, disk) for disk in (Disk(ROOT_DEVICE, chance.randint(30, 200), "C:"), *data)]


def start(cloud, layout):
    """Start a server with this layout; moto's launch supports neither IOPS nor the types that need them."""
    server = cloud.add_server("RANDOM", tuple(each.disk for each in layout))
    for each in layout:
        volume_id = server.volumes[each.disk.drive]
        volume = backend().get_volume(volume_id)
        volume.volume_type, volume.iops, volume.throughput = each.kind, each.iops, each.mibps
        volume.encrypted, volume.kms_key_id = each.encrypted, KEY if each.encrypted else None
        cloud.servers.content(volume_id).write("what.txt", each.text)
    ends = [{"DeviceName": e.disk.device, "Ebs": {"DeleteOnTermination": e.goes_with_server}} for e in layout]
    cloud.ec2.modify_instance_attribute(InstanceId=server.instance_id, BlockDeviceMappings=ends)
    return server


def overrides(chance: random.Random, layout: list[Laid]) -> dict[str, dict[str, Any]]:
    """Return overrides for some volumes: another type, or other IOPS or MiB/s of the same type."""
    chosen: dict[str, dict[str, Any]] = {}
    for each in chance.sample(layout, min(len(layout), chance.choice([0, 0, 1, 3]))):
        kind = chance.choice(fitting([each.kind, "gp2", "gp3", "io2"], each.disk.size_gib))
        override: dict[str, Any] = {} if kind == each.kind else {"volume_type": kind}
        if kind == "io2" or (kind in IOPS and chance.random() < 0.5):
            override["iops"] = some_iops(chance, kind, each.disk.size_gib)
        if kind == "gp3" and ("iops" in override or kind != each.kind):
            override["throughput_mibps"] = some_mibps(chance, override.get("iops", IOPS["gp3"][0]))
        chosen[each.disk.device] = override
    return chosen


def expected(each: Laid, override: dict[str, Any], key: str | None) -> dict[str, Any]:
    """Return EC2's description of a recovered volume; moto describes IOPS only for types that accept them.

    The key is compared only if the recovery named one: a snapshot on moto does not keep its volume's key.
    """
    kind = override.get("volume_type", each.kind)
    as_it_was = each if kind == each.kind else None
    iops = override.get("iops", as_it_was.iops if as_it_was else 3000)
    mibps = override.get("throughput_mibps", as_it_was.mibps if as_it_was else None)
    return {
        "VolumeType": kind,
        "Iops": iops if kind in IOPS else None,
        "Throughput": mibps if kind == "gp3" else None,
        "Size": each.disk.size_gib,
        "Encrypted": each.encrypted or key is not None,
        "key": key,
        "text": each.text,
        "goes_with_server": each.goes_with_server,
    }


def found(cloud, instance_id):
    """Return EC2's description of a server's volumes, and their content, by device."""
    filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    volumes = cloud.ec2.describe_volumes(Filters=filters)["Volumes"]
    names = ("VolumeType", "Iops", "Throughput", "Size", "Encrypted")
    return {
        volume["Attachments"][0]["Device"]: {name: volume.get(name) for name in names}
        | {"key": OTHER_KEY if volume.get("KmsKeyId") == OTHER_KEY else None}
        | {"text": cloud.servers.content(volume["VolumeId"]).read("what.txt")}
        | {"goes_with_server": volume["Attachments"][0]["DeleteOnTermination"]}
        for volume in volumes
    }


def stop_somewhere(chance: random.Random, backed, request, take_time):
    """Stop a recovery in a random state or wait; a slow one waits at least 24 times."""
    if chance.random() < 0.5:
        backed.machine.stop_in(chance.choice(ON_THE_WAY))
    else:
        take_time()
        backed.machine.clock.at_next_wait(*[lambda: None] * chance.randrange(24), backed.machine.stop)
    stopped = backed.recover(**request)
    backed.machine.stop_in("")
    return stopped


@pytest.mark.grid
@pytest.mark.parametrize("case", range(CASES))
def test_a_random_server_comes_back_with_each_volume_as_it_was_at_its_device(machine, cloud, take_time, case):
    chance = random.Random(case)
    layout = a_layout(chance)
    server = start(cloud, layout)
    backed = back_up(cloud, machine, server, a_policy(server.instance_id))
    for volume_id in server.volumes.values():
        cloud.servers.content(volume_id).write("what.txt", "lost")
    wanted, key = overrides(chance, layout), chance.choice([None, None, OTHER_KEY])
    request = {"overrides": {"volumes": wanted, "kms_key_id": key}}
    if case % 3 == 0:
        assert stop_somewhere(chance, backed, request, take_time).status != "SUCCEEDED"
    recovered = assert_recovered(backed, backed.recover(**request))
    assert found(cloud, recovered["InstanceId"]) == {
        each.disk.device: expected(each, wanted.get(each.disk.device, {}), key) for each in layout
    }


def test_the_random_servers_have_what_they_are_about():
    layouts = [a_layout(random.Random(case)) for case in range(CASES)]
    volumes = [each for layout in layouts for each in layout]
    assert {0, 26} <= {len(layout) - 1 for layout in layouts}
    assert {each.kind for each in volumes} == set(KINDS)
    assert {each.encrypted for each in volumes} == {each.goes_with_server for each in volumes} == {True, False}
    assert any(each.disk.device.startswith("/dev/sd") for each in volumes if each.disk.drive != "C:")
    by_device = [[e.disk.drive for e in sorted(layout, key=lambda e: e.disk.device)] for layout in layouts]
    assert sum(drives != sorted(drives) for drives in by_device) > CASES / 2
