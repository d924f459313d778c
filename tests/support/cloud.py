"""The stack's resources and servers on moto, and what the functions leave in them."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import models as moto_core
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.ec2.models import ec2_backends
from moto.ec2.models.subnets import Subnet
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.stepfunctions.parser.utils import TMP_THREADS

from sandbox.aws import (
    associations,
    attachments,
    images,
    instances,
    keys,
    policy_simulator,
    recycle_bin,
    snapshot_copies,
    snapshot_tiers,
    snapshot_use,
    snapshots,
    volumes,
)
from sandbox.aws.direct_apis import DirectApis
from sandbox.aws.run_command import RunCommand
from sandbox.aws.scheduling import Scheduler
from sandbox.servers import DISKS, Disk, Server, Servers
from tests.support.environment import (
    ACCOUNT,
    ACT_DOCUMENT,
    BUCKET,
    COMPONENTS_DOCUMENT,
    LOOK_DOCUMENT,
    MEND_DOCUMENT,
    REGION,
    SCHEDULE_GROUP,
    TABLE,
    TOPIC_ARN,
    UPDATE_DOCUMENT,
)
from tests.support.project import template
from tests.support.ssm import guest_document, made

EXECUTE = {"stepfunctions": {"execute_state_machine": True}}
# For the library requests, whose calls go nowhere here, moto would set up 1,300 answers for each test.
moto_core.RESPONSES_METHODS.clear()


@cache
def _session() -> boto3.session.Session:
    """Return one session for all clients: each would read for itself what botocore knows of AWS."""
    return boto3.session.Session(region_name=REGION)


@cache
def client(service: str) -> Any:
    """Return the client of a service: one for all tests, since moto holds the state."""
    return _session().client(service)


def backend() -> Any:
    """Return moto's EC2."""
    return ec2_backends[ACCOUNT][REGION]


@dataclass
class Cloud:
    """One account with the stack."""

    ec2: Any
    s3: Any
    dynamodb: Any
    stepfunctions: Any
    servers: Servers
    run_command: RunCommand
    direct_apis: DirectApis
    scheduler: Scheduler
    started: list[dict[str, Any]] = field(default_factory=list)
    """The input of each start that a schedule made."""

    def add_server(
        self, name: str = "SERVER1", disks: tuple[Disk, ...] = DISKS, *, application: bool = False
    ) -> Server:
        """Start a Windows server with these disks, and the busy application only if ``application``."""
        return self.servers.add(name, disks, application=application)

    def put_policy(self, policy: dict[str, Any]) -> str:
        """Upload a policy and return its name; JSON is YAML."""
        self.s3.put_object(Bucket=BUCKET, Key=f"policies/{policy['name']}.yaml", Body=json.dumps(policy).encode())
        return str(policy["name"])

    def put_scripts(self, policy: str, owner: str = "admin", **texts: str) -> None:
        """Upload an owner's scripts of a policy: ``before``, ``after`` and ``complete``; see customer_scripts."""
        for stage in ("before", "after", "complete"):
            key = f"scripts/{owner}/{stage}_{policy}.ps1"
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=texts.get(stage, "# goes well\n").encode())

    def stored_snapshots(self) -> list[Any]:
        """Return every snapshot ever created, except those of images, as moto's objects."""
        return [s for s in ec2_backends[ACCOUNT][REGION].snapshots.values() if s.from_ami is None]

    def snapshots(self) -> list[dict[str, Any]]:
        """Return the same as plain data, with the tags by key."""
        return [
            {"id": s.id, "volume_id": s.volume_id, "tags": {tag["key"]: tag["value"] for tag in s.get_tags()}}
            for s in self.stored_snapshots()
        ]

    def snapshot_sets(self) -> int:
        """Return how many times CreateSnapshots took effect."""
        return max(Counter(s["volume_id"] for s in self.snapshots()).values(), default=0)

    def items(self) -> dict[tuple[str, str], dict[str, str]]:
        """Return the table, by pk and sk."""
        stored = self.dynamodb.scan(TableName=TABLE, ConsistentRead=True)["Items"]
        plain = [{name: next(iter(value.values())) for name, value in item.items()} for item in stored]
        return {(item.pop("pk"), item.pop("sk")): item for item in plain}

    def lease(self, instance_id: str) -> dict[str, str] | None:
        """Return the server's lease, None if it is free."""
        return self.items().get((instance_id, "lease"))

    def hold(self, instance_id: str, run_id: str, until_s: float) -> None:
        """Let another run hold the server until a time, in seconds since 1970."""
        execution = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:backup:{run_id}"
        values = {"pk": instance_id, "sk": "lease", "run_id": run_id, "execution": execution}
        item = {name: {"S": value} for name, value in values.items()} | {"expires_at": {"N": str(int(until_s))}}
        self.dynamodb.put_item(TableName=TABLE, Item=item)

    def free(self, instance_id: str) -> None:
        """Release the server's lease."""
        self.dynamodb.delete_item(TableName=TABLE, Key={"pk": {"S": instance_id}, "sk": {"S": "lease"}})

    def server_ids(self) -> list[str]:
        """Return the ids of all servers."""
        return [i["InstanceId"] for r in self.ec2.describe_instances()["Reservations"] for i in r["Instances"]]

    def records(self) -> dict[str, Any]:
        """Return the records in the bucket, by key."""
        return self._read_all("records/")

    def accounts(self) -> dict[str, Any]:
        """Return the accounts of recoveries in the bucket, by key; what tells their progress is none."""
        return self._read_all("recoveries/", ".json")

    def progress(self, recovery_id: str) -> str:
        """Return what a person reads of how far a recovery is."""
        key = f"recoveries/{recovery_id}/progress.txt"
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()

    def _read_all(self, folder: str, ending: str = "") -> dict[str, Any]:
        keys = [o["Key"] for o in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=folder).get("Contents", [])]
        found = [key for key in keys if key.endswith(ending)]
        return {key: json.loads(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in found}

    def mails(self) -> list[tuple[str, str]]:
        """Return the messages published on the topic, as subject and text."""
        sent = sns_backends[ACCOUNT][REGION].topics[TOPIC_ARN].sent_notifications
        return [(notification[2], notification[1]) for notification in sent]


def _place_of(link: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    parts = urlsplit(link)
    assert parts.netloc == f"{BUCKET}.s3.{REGION}.amazonaws.com", link
    return {"Bucket": BUCKET, "Key": unquote(parts.path[1:])}, parse_qs(parts.query)


def _get(link: str) -> bytes | None:
    """Download an object by a presigned link, as a server does."""
    try:
        found = client("s3").get_object(**_place_of(link)[0])
    except ClientError:
        return None
    return bytes(found["Body"].read())


def _put(link: str, content: bytes) -> bool:
    """Upload an object by a presigned link, as a server does."""
    client("s3").put_object(**_place_of(link)[0], Body=content)
    return True


def _now_s() -> float:
    """Return the current time of the test's clock."""
    return snapshots.RULES.now_s()


@contextmanager
def _empty_account() -> Iterator[None]:
    """Give an account with nothing in it: what `mock_aws` gives, and 10 ms sooner.

    It makes each backend that was used anew, and drops it then; here they are dropped, and made when they are used.
    """
    moto = mock_aws(config=EXECUTE)  # type: ignore[arg-type]
    s3_backends[ACCOUNT]["aws"].reset()  # closes its files
    for backends in BackendDict._instances:
        for account in backends.values():
            # moto asks the backend of us-east-1 for the addresses of a service, at each request; nothing is in it.
            for region in account.keys() - {"us-east-1"}:
                del account[region]
    reset_model_data()
    moto.start(reset=False)
    try:
        yield
    finally:
        moto.stop(remove_data=False)
        # moto keeps each subnet that gave an address, and by it the whole EC2, and each thread of an execution.
        Subnet._base_avail_ip_iterator.cache_clear()
        TMP_THREADS.clear()


@contextmanager
def started() -> Iterator[Cloud]:
    """Yield an account with the stack's table, bucket and topic as in the template."""
    parts = (snapshots, snapshot_copies, instances, volumes, attachments, images, snapshot_use, snapshot_tiers)
    for part in (*parts, recycle_bin, associations):
        part.install()
    policy_simulator.into_moto()
    with _empty_account():
        ec2 = client("ec2")
        servers = Servers(ec2, backend, seed=1, get=_get, put=_put)
        run_command = RunCommand(servers.managed, servers.state_of, _now_s)
        run_command.put_document(LOOK_DOCUMENT, guest_document("look", BUCKET, REGION))
        run_command.put_document(ACT_DOCUMENT, guest_document("act", BUCKET, REGION))
        run_command.put_document(MEND_DOCUMENT, guest_document("mend", BUCKET, REGION))
        for name, logical_id in ((UPDATE_DOCUMENT, "UpdateDocument"), (COMPONENTS_DOCUMENT, "ComponentsDocument")):
            content = template()["Resources"][logical_id]["Properties"]["Content"]
            run_command.put_document(name, made(content, BUCKET, REGION))
        cloud = Cloud(
            ec2,
            *map(client, ("s3", "dynamodb", "stepfunctions")),
            servers,
            run_command,
            servers.direct_apis(_now_s),
            Scheduler(_now_s, lambda _target, text: cloud.started.append(json.loads(text))),
        )
        cloud.scheduler.make_group(SCHEDULE_GROUP)
        table = template()["Resources"]["Table"]["Properties"]
        shape = {name: table[name] for name in ("KeySchema", "AttributeDefinitions", "BillingMode")}
        cloud.dynamodb.create_table(TableName=TABLE, **shape)
        cloud.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        cloud.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        client("sns").create_topic(Name=TOPIC_ARN.rpartition(":")[2])
        yield cloud
    for rules in (
        snapshots.RULES,
        instances.INSTANCES,
        volumes.VOLUMES,
        images.IMAGES,
        recycle_bin.BIN,
        snapshot_use.LOCKS,
        snapshot_tiers.TIERS,
        snapshot_copies.COPIES,
        keys.KEYS,
    ):
        rules.reset()
