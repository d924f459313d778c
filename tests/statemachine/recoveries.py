"""What the tests of recoveries share: a backed-up server, an image, and the checks of a recovered server."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sandbox.servers import Server
from tests.support.cloud import Cloud
from tests.support.machine import Machine, Run

# Of the objects that a quick recovery writes, which is its account: after those that say how far it is.
ACCOUNT_IS_PUT = 15


@dataclass
class Backed:
    """A server with a recovery point, and an image of its Windows."""

    cloud: Cloud
    machine: Machine
    server: Server
    image_id: str
    record: dict[str, Any]

    def request(self, **fields: Any) -> dict[str, Any]:
        """Return the input of a recovery to the server's only recovery point."""
        which = {"recovery_point": self.record["run_id"], "image_id": self.image_id, "recovery_id": "drill-7"}
        return {**which, "beside_the_old_one": True, **fields}

    def recover(self, **fields: Any) -> Run:
        """Run a recovery; each execution has a name of its own, and the same recovery_id."""
        return self.machine.recover(self.request(**fields))


def back_up(cloud: Cloud, machine: Machine, server: Server, policy: dict[str, Any]) -> Backed:
    """Back up a server, and add an image that fits."""
    run = machine.start({"policy": policy, "instance_id": server.instance_id}, "night-1")
    assert run.status == "SUCCEEDED", run.cause
    return Backed(cloud, machine, server, cloud.servers.add_image("windows"), run.output)


def state_of_source(backed: Backed) -> Any:
    """Return everything that a recovery must not change: the source, its volumes and its snapshots."""
    ec2, instance_id = backed.cloud.ec2, backed.server.instance_id
    [instance] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    volumes = ec2.describe_volumes(VolumeIds=list(backed.server.volumes.values()))["Volumes"]
    snapshots = ec2.describe_snapshots(SnapshotIds=[s["snapshot_id"] for s in backed.record["snapshots"]])["Snapshots"]
    return instance["State"], instance["BlockDeviceMappings"], volumes, snapshots


def made(cloud: Cloud, recovery_id: str = "drill-7") -> dict[str, list[dict[str, Any]]]:
    """Return what exists of a recovery, by its tag: servers not terminated, volumes, security groups."""
    filters = [{"Name": "tag:quiesce:recovery", "Values": [recovery_id]}]
    found = cloud.ec2.describe_instances(Filters=filters)["Reservations"]
    servers = [i for r in found for i in r["Instances"] if i["State"]["Name"] != "terminated"]
    volumes = cloud.ec2.describe_volumes(Filters=filters)["Volumes"]
    groups = cloud.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return {"servers": servers, "volumes": volumes, "groups": groups}


def assert_recovered(backed: Backed, run: Run) -> dict[str, Any]:
    """Check that a recovery succeeded, with nothing double, left over or out of place, and return its server."""
    assert run.status == "SUCCEEDED", run.cause
    exists = made(backed.cloud)
    [server] = exists["servers"]
    assert (server["InstanceId"], server["State"]["Name"]) == (run.output["instance_id"], "running")
    assert exists["groups"] == []
    record = {s["device"]: s for s in backed.record["snapshots"]}
    assert {v["Attachments"][0]["Device"]: v["SnapshotId"] for v in exists["volumes"]} == {
        device: s["snapshot_id"] for device, s in record.items()
    }
    ends = {m["DeviceName"]: m["Ebs"]["DeleteOnTermination"] for m in server["BlockDeviceMappings"]}
    assert ends == {device: s["volume"]["delete_on_termination"] for device, s in record.items()}
    assert [g["GroupId"] for g in server["SecurityGroups"]] == backed.record["source"]["security_group_ids"]
    keys = Counter(tag["Key"] for found in (server, *exists["volumes"]) for tag in found["Tags"])
    assert keys["quiesce:recovery"] == 1 + len(record)
    assert "quiesce:recovering" not in keys
    assert_data(backed, server["InstanceId"])
    return server


def assert_data(backed: Backed, instance_id: str) -> None:
    """Check that each drive of the new server has the content of its snapshot."""
    servers = backed.cloud.servers
    snapshots = {s["volume_id"]: s["snapshot_id"] for s in backed.record["snapshots"]}
    recovered = servers.servers[instance_id].volumes
    assert recovered.keys() == backed.server.volumes.keys()
    for drive, volume_id in recovered.items():
        content = servers.content(snapshots[backed.server.volumes[drive]])
        assert servers.content(volume_id).files == content.files, drive
