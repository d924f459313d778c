"""Posture: who is behind is told once, also where calls are lost, die or come twice; nothing is called good unseen."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from quiesce.aws.backup.endings import Endings
from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.aws.posture.clusters import Clusters
from quiesce.aws.retention.points import Points
from quiesce.backup.run import RunIdentity
from quiesce.errors import AccessDenied, AwsThrottled, AwsUnavailable
from quiesce.guest.cluster import ClusterNode
from quiesce.points.parts import Consistency
from quiesce.posture.state import Posture
from quiesce.posture.unclaimed import UnclaimedList
from tests.support.environment import BUCKET, STACK, TABLE
from tests.support.factories.run import a_record
from tests.support.machine import APPS
from tests.support.wire import FunctionDied, answer_lost, dies_after, dies_before, refused

HOUR_S, DAY_S = 3600, 86_400
ALERT = "alert: {no_good_point_for: 26h}\n"
TAGGED = "targets: [{tags: {backup: nightly}}]\n"


@dataclass
class Nights:
    """The stack with servers, policies in force, and recovery points as backups leave them."""

    cloud: Any
    clock: Any
    wire: Any
    printed: Any
    looks: int = 0
    made: list[str] = field(default_factory=list)

    def put_policy(self, text: str = "", name: str = "nightly") -> None:
        text = f"name: {name}\n{text or ALERT + TAGGED}"
        PoliciesInForce(self.cloud.dynamodb, TABLE).keep(name, text, f"v-{len(text)}", self.clock.now())

    def add_server(self, name: str = "SERVER1", **tags: str) -> Any:
        server = self.cloud.add_server(name)
        self.tag(server, **(tags or {"backup": "nightly"}))
        return server

    def tag(self, server: Any, **tags: str) -> None:
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        self.cloud.ec2.create_tags(Resources=[server.instance_id], Tags=pairs)

    def back_up(self, server: Any, policy: str = "nightly", level: str = "application", **changes: Any) -> str:
        """Leave what a good backup leaves, as of now."""
        run_id = f"{policy}-{len(self.made):03}"
        self.made.append(run_id)
        of = {"quiesce:stack": STACK, "quiesce:run": run_id, "quiesce:instance": server.instance_id}
        pairs = [{"Key": key, "Value": value} for key, value in of.items()]
        answer = self.cloud.ec2.create_snapshots(
            InstanceSpecification={"InstanceId": server.instance_id},
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": pairs}],
        )["Snapshots"]
        snapshots = [
            {"snapshot_id": s["SnapshotId"], "volume_id": s["VolumeId"], "device": "xvdf", "root": False, "size_gib": 8,
             "state": "completed", "started_at": s["StartTime"], "completed_at": s["StartTime"], "volume": None}
            for s in answer
        ]  # fmt: skip
        self.clock.now_s += 60
        record = a_record(
            run_id=run_id,
            policy=policy,
            instance_id=server.instance_id,
            consistency=Consistency(level=level, reason="as the test says"),
            **{"snapshots_at": self.clock.now(), "snapshots": snapshots, "execution": f"arn:{run_id}", **changes},
        )
        Endings(self.cloud.dynamodb, TABLE).end_run(RunIdentity(run_id, policy, server.instance_id), record)
        Points(self.cloud.dynamodb, TABLE).put(record)
        return run_id

    def lose(self, run_id: str) -> None:
        """Delete the snapshots of a run, as a person does in the console."""
        for each in self.cloud.snapshots():
            if each["tags"].get("quiesce:run") == run_id:
                self.cloud.ec2.delete_snapshot(SnapshotId=each["id"])

    def look(self, event: dict[str, Any] | None = None, request_id: str = "", remaining_ms: int = 900_000) -> Any:
        self.looks += 1
        context = SimpleNamespace(
            aws_request_id=request_id or f"look-{self.looks}", get_remaining_time_in_millis=lambda: remaining_ms
        )
        with self.wire.listen():
            return json.loads(json.dumps(APPS["posture"].handler(event or {}, context)))

    def list_unclaimed(self, **given: Any) -> UnclaimedList:
        self.look({"list": "unclaimed"}, **given)
        found = self.cloud.s3.get_object(Bucket=BUCKET, Key="posture/unclaimed.json")
        return UnclaimedList.model_validate_json(found["Body"].read())

    def pass_hours(self, hours: float) -> None:
        self.clock.now_s += hours * HOUR_S

    def posture(self) -> Posture:
        found = self.cloud.s3.get_object(Bucket=BUCKET, Key="posture/latest.json")
        return Posture.model_validate_json(found["Body"].read())

    def subjects(self) -> list[str]:
        return [subject for subject, _ in self.cloud.mails()]

    def measures(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.printed.readouterr().out.splitlines() if line.startswith("{")]
        return [line for line in lines if "_aws" in line]


@pytest.fixture
def nights(cloud, clock, wire, capsys):
    nights = Nights(cloud, clock, wire, capsys)
    nights.put_policy()
    return nights


BEHIND, GOOD = "Behind: policy nightly", "Good again: policy nightly"


def test_a_policy_that_falls_behind_is_told_once_and_cleared_by_the_next_good_recovery_point(nights):
    server = nights.add_server()
    nights.back_up(server)
    nights.look()
    assert (nights.subjects(), nights.posture().policies[0].standing) == ([], "good")
    nights.pass_hours(27)
    for _ in range(3):
        nights.look()
        nights.pass_hours(1)
    assert nights.subjects() == [BEHIND]
    text = nights.cloud.mails()[0][1]
    assert f"SERVER1 ({server.instance_id}): the newest good one is 27 h old: nightly-000" in text
    assert "an application-consistent recovery point of each server in the last 26 h" in text
    assert nights.posture().policies[0].servers[0].standing == "behind"
    nights.back_up(server)
    nights.look()
    nights.look()
    assert nights.subjects() == [BEHIND, GOOD]
    assert ("posture", "told#nightly") not in nights.cloud.items()
    nights.pass_hours(27)
    nights.look()
    assert nights.subjects() == [BEHIND, GOOD, BEHIND]


def test_each_server_is_told_of_once_and_the_policy_is_good_when_all_are(nights):
    first, second = nights.add_server("ONE"), nights.add_server("TWO")
    nights.back_up(first)
    nights.pass_hours(10)
    nights.back_up(second)
    nights.pass_hours(17)
    nights.look()
    nights.pass_hours(10)
    nights.look()
    nights.look()
    assert nights.subjects() == [BEHIND, BEHIND]
    assert "Behind:      2, of which 1 were told before" in nights.cloud.mails()[1][1]
    nights.back_up(first)
    nights.look()
    assert nights.subjects() == [BEHIND, BEHIND]
    nights.pass_hours(1)
    nights.back_up(second)
    nights.look()
    assert nights.subjects() == [BEHIND, BEHIND, GOOD]


@pytest.mark.parametrize(
    "left",
    [
        {"status": "PartiallySuccessful"},
        {"status": "Failed"},
        {"level": "crash"},
    ],
)
def test_what_is_no_good_recovery_point_does_not_keep_a_policy_from_being_behind(nights, left):
    server = nights.add_server()
    nights.back_up(server)
    nights.pass_hours(27)
    nights.back_up(server, **left)
    nights.look()
    assert nights.subjects() == [BEHIND]
    nights.put_policy("alert: {no_good_point_for: 26h, level: crash}\npartial_counts: false\n" + TAGGED)
    nights.look()
    assert nights.subjects() == [BEHIND, *([GOOD] if "level" in left else [])]


def test_a_recovery_point_whose_snapshots_are_gone_is_none_and_the_one_before_it_counts(nights):
    server = nights.add_server()
    nights.back_up(server)
    nights.pass_hours(20)
    nights.lose(nights.back_up(server))
    nights.look()
    [found] = nights.posture().policies[0].servers
    assert (found.standing, found.newest.run_id, found.lost) == ("good", "nightly-000", ["nightly-001"])
    nights.pass_hours(7)
    nights.look()
    assert nights.subjects() == [BEHIND]
    assert "EC2 no longer has the snapshots of nightly-001" in nights.cloud.mails()[0][1]


def test_a_server_without_any_good_recovery_point_is_behind_as_long_after_it_was_first_seen(nights):
    server = nights.add_server()
    nights.look()
    assert nights.posture().policies[0].servers[0].standing == "waiting"
    nights.pass_hours(25)
    nights.look()
    assert nights.subjects() == []
    nights.pass_hours(2)
    nights.look()
    assert nights.subjects() == [BEHIND]
    assert "no good one at all, looked for since" in nights.cloud.mails()[0][1]
    assert ("posture", f"first-seen#nightly#{server.instance_id}") in nights.cloud.items()
    nights.back_up(server)
    nights.look()
    assert nights.subjects() == [BEHIND, GOOD]
    assert ("posture", f"first-seen#nightly#{server.instance_id}") not in nights.cloud.items()


def test_a_recovery_point_of_the_future_is_nobodys_newest(nights):
    server = nights.add_server()
    nights.back_up(server)
    nights.back_up(server, snapshots_at=nights.clock.now() + timedelta(days=400))
    nights.pass_hours(27)
    nights.look()
    assert nights.subjects() == [BEHIND]
    assert nights.posture().policies[0].points == 2


def test_the_alarm_counts_a_cluster_and_comes_where_all_of_its_nodes_are_skipped(nights):
    """From the records to the mail: what each node's run leaves in the table is all that a look knows."""
    nights.put_policy()
    servers = {name: nights.add_server(name) for name in ("SQL-A", "SQL-B")}
    clusters = Clusters(nights.cloud.dynamodb, TABLE)

    def end_runs(**statuses: str) -> None:
        for name, status in statuses.items():
            node = ClusterNode(cluster="SHOP", node=name, nodes=["SQL-A", "SQL-B"], role="secondary", why="")
            if status == "Successful":
                nights.back_up(servers[name])
            record = a_record(instance_id=servers[name].instance_id, policy="nightly", cluster=node)
            clusters.keep(record.model_copy(update={"status": status, "started_at": nights.clock.now()}))

    for night in range(3):
        end_runs(
            **(
                {"SQL-A": "Successful", "SQL-B": "Skipped"}
                if night % 2
                else {"SQL-A": "Skipped", "SQL-B": "Successful"}
            )
        )
        nights.pass_hours(24)
        nights.look()
    assert nights.subjects() == []
    [policy] = nights.posture().policies
    assert {server.standing for server in policy.servers} == {"good"}
    end_runs(**{"SQL-A": "Skipped", "SQL-B": "Skipped"})
    nights.pass_hours(4)
    nights.look()
    assert nights.subjects() == ["Behind: policy nightly"]
    assert nights.posture().behind == 2
    end_runs(**{"SQL-A": "Skipped", "SQL-B": "Successful"})
    nights.look()
    assert nights.subjects() == ["Behind: policy nightly", "Good again: policy nightly"]


def test_a_run_that_began_earlier_does_not_replace_what_a_later_one_heard_of_its_cluster(nights):
    server, clusters = nights.add_server("SQL-A"), Clusters(nights.cloud.dynamodb, TABLE)

    def record(cluster: str, hours: float) -> Any:
        node = ClusterNode(cluster=cluster, node="SQL-A", nodes=["SQL-A"], role="primary", why="")
        at = nights.clock.now() - timedelta(hours=hours)
        return a_record(instance_id=server.instance_id, cluster=node, started_at=at)

    clusters.keep(record("NEW", 1))
    clusters.keep(record("OLD", 2))
    clusters.keep(record("", 0))
    clusters.keep(a_record(instance_id=server.instance_id))
    [seen] = clusters.nodes().values()
    assert (seen.node.cluster, seen.instance_id) == ("NEW", server.instance_id)
    key = {"pk": {"S": "clusters"}, "sk": {"S": f"{seen.policy}#{server.instance_id}"}}
    nights.cloud.dynamodb.put_item(TableName=TABLE, Item={**key, "node": {"S": "{}"}})
    assert clusters.nodes() == {}, "what can't be read covers nobody"


def test_a_server_that_leaves_its_policy_is_not_called_good_again(nights):
    server, other = nights.add_server(), nights.add_server("OTHER")
    nights.back_up(server)
    nights.pass_hours(27)
    nights.back_up(other)
    nights.look()
    nights.tag(server, backup="no")
    nights.look()
    assert nights.subjects() == [BEHIND, "Nothing behind any more: policy nightly"]
    assert f"Not known:   {server.instance_id} was behind" in nights.cloud.mails()[1][1]
    [left], [unprotected] = nights.posture().left, nights.posture().unprotected
    assert (left.kind, left.instance_id, left.points) == ("left", server.instance_id, 1)
    assert unprotected.reason == "no policy means it any more; it has recovery points by nightly"


def test_a_policy_that_goes_while_it_is_behind_is_told(nights):
    nights.back_up(server := nights.add_server())
    nights.pass_hours(27)
    nights.look()
    PoliciesInForce(nights.cloud.dynamodb, TABLE).forget("nightly")
    nights.look()
    nights.look()
    assert nights.subjects() == [BEHIND, "No alert any more: policy nightly"]
    [left] = nights.posture().left
    assert (left.kind, left.instance_id) == ("no policy", server.instance_id)


def test_a_policy_that_cannot_be_read_is_not_known_and_nothing_is_told_or_forgotten(nights):
    nights.back_up(nights.add_server())
    nights.add_server("NEW")
    nights.pass_hours(27)
    nights.look()
    before = {key: item for key, item in nights.cloud.items().items() if key[0] == "posture" and key[1] != "latest"}
    nights.put_policy("targets: 7\n")
    nights.look()
    after = {key: item for key, item in nights.cloud.items().items() if key[0] == "posture" and key[1] != "latest"}
    assert (nights.subjects(), after) == ([BEHIND], before)
    posture = nights.posture()
    assert "policy nightly: " in posture.unknown[0]
    assert (posture.left, posture.policies) == ([], [])


def test_servers_that_no_policy_covers_are_listed_and_others_are_none_of_them(nights):
    covered = nights.add_server("COVERED")
    excluded = nights.add_server("EXCLUDED")
    bare = nights.add_server("BARE", team="sales")
    linux, dying = nights.add_server("LINUX", os="linux"), nights.add_server("DYING", team="sales")
    made = nights.add_server("MADE", **{"quiesce:recovering": "drill-7"})
    instances = {i.id: i for i in nights.cloud.servers.backend().all_instances()}
    instances[linux.instance_id].platform = None
    nights.cloud.ec2.terminate_instances(InstanceIds=[dying.instance_id])
    nights.put_policy(f"{ALERT}exclude: [{{instance_id: {excluded.instance_id}}}]\n{TAGGED}")
    nights.look()
    posture = nights.posture()
    assert {each.instance_id: each.reason for each in posture.unprotected if each.instance_id != linux.instance_id} == {
        excluded.instance_id: "policy nightly excludes it",
        bare.instance_id: "no policy means it",
    }
    assert made.instance_id not in {each.instance_id for each in posture.unprotected}
    assert [each.instance_id for each in posture.policies[0].servers] == [covered.instance_id]


def test_a_server_that_is_gone_has_its_recovery_points_listed(nights):
    server = nights.add_server()
    nights.back_up(server)
    nights.cloud.ec2.terminate_instances(InstanceIds=[server.instance_id])
    nights.look()
    [left] = nights.posture().left
    assert (left.kind, left.reason) == ("gone", "the server is terminated, or gone")


def test_the_table_has_the_posture_in_numbers_and_an_older_look_does_not_replace_it(nights):
    nights.back_up(nights.add_server())
    summary = nights.look()
    kept = json.loads(nights.cloud.items()["posture", "latest"]["summary"])
    assert kept == summary
    assert (kept["policies"][0]["policy"], kept["policies"][0]["servers"], kept["covered"]) == ("nightly", 1, 1)
    nights.clock.now_s -= HOUR_S
    nights.look()
    assert json.loads(nights.cloud.items()["posture", "latest"]["summary"]) == summary
    assert nights.posture().looked_at.isoformat() == summary["looked_at"].replace("Z", "+00:00")


def test_each_whole_look_gives_a_sign_of_life_and_at_most_two_measures_of_a_policy(nights):
    nights.back_up(nights.add_server())
    nights.pass_hours(2)
    nights.look()
    policy, stack = nights.measures()
    assert (policy["policy"], policy["AgeOfNewestGoodPoint"], policy["RecoveryPoints"]) == ("nightly", [7200], [1])
    assert (stack["stack"], stack["PostureLooks"], stack["ServersBehind"]) == (STACK, [1], [0])
    [names] = stack["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    assert sorted(names) == ["service", "stack"]


@pytest.mark.parametrize(
    ("call", "fault", "error"),
    [
        ("ec2:DescribeInstances", refused("UnauthorizedOperation", 403), AccessDenied),
        ("ec2:DescribeSnapshots", refused("UnauthorizedOperation", 403), AccessDenied),
        ("dynamodb:Query", refused("AccessDeniedException"), AccessDenied),
        ("s3:PutObject", refused("AccessDenied", 403), AccessDenied),
        ("sns:Publish", refused("AuthorizationError", 403), AccessDenied),
    ],
)
def test_a_look_that_is_refused_a_call_gives_no_sign_of_life(nights, call, fault, error):
    nights.back_up(nights.add_server())
    nights.pass_hours(27)
    nights.wire.on(call, fault)
    with pytest.raises(error):
        nights.look()
    assert nights.measures() == []


@pytest.mark.parametrize("error", [(AwsThrottled, "Throttling"), (AwsUnavailable, "InternalFailure")])
def test_a_mail_that_could_not_be_sent_is_sent_when_lambda_calls_again(nights, error):
    nights.back_up(nights.add_server())
    nights.pass_hours(27)
    kind, code = error
    nights.wire.on("sns:Publish", refused(code, 500 if kind is AwsUnavailable else 400), times=4)
    with pytest.raises(kind):
        nights.look(request_id="one")
    # Another look meanwhile leaves it to the one that has begun.
    nights.look(request_id="two")
    assert nights.subjects() == []
    nights.look(request_id="one")
    nights.look(request_id="two")
    assert nights.subjects() == [BEHIND]


def test_a_mail_whose_sender_is_gone_for_good_is_sent_by_a_later_look(nights):
    nights.back_up(nights.add_server())
    nights.pass_hours(27)
    nights.wire.on("sns:Publish", dies_before)
    with pytest.raises(FunctionDied):
        nights.look()
    nights.pass_hours(1)
    nights.look()
    nights.look()
    assert nights.subjects() == [BEHIND]


@pytest.mark.parametrize("call", ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "s3:PutObject"])
def test_a_lost_answer_of_any_write_changes_nothing_of_what_people_hear(nights, call):
    server = nights.add_server()
    nights.back_up(server)
    nights.pass_hours(27)
    if call != "dynamodb:DeleteItem":
        nights.wire.on(call, answer_lost)
    nights.look()
    nights.look()
    assert nights.subjects() == [BEHIND]
    nights.back_up(server)
    if call == "dynamodb:DeleteItem":
        nights.wire.on(call, answer_lost)
    nights.look()
    nights.look()
    assert nights.subjects() == [BEHIND, GOOD]


@pytest.mark.parametrize("number", range(1, 4))
@pytest.mark.parametrize("fault", [dies_before, dies_after])
def test_a_look_that_dies_at_a_write_is_made_good_and_told_at_most_twice(nights, number, fault):
    nights.back_up(nights.add_server())
    nights.pass_hours(27)
    calls = ["dynamodb:PutItem", "dynamodb:UpdateItem", "s3:PutObject"]
    nights.wire.on(calls[number - 1], fault)
    with pytest.raises(FunctionDied):
        nights.look(request_id="one")
    nights.look(request_id="one")
    nights.look()
    assert nights.subjects() in ([BEHIND], [BEHIND, BEHIND])
    assert nights.posture().behind == 1


def test_two_looks_at_once_tell_once(nights):
    nights.back_up(nights.add_server())
    nights.pass_hours(27)
    publish, seen = APPS["posture"].step.sns.publish, []

    def meanwhile(**given: Any) -> Any:
        """Let the other look run whole before this mail goes."""
        if not seen:
            seen.append(1)
            nights.look(request_id="the other")
        return publish(**given)

    APPS["posture"].step.sns.publish = meanwhile
    try:
        nights.look(request_id="this one")
    finally:
        APPS["posture"].step.sns.publish = publish
    nights.look()
    assert nights.subjects() == [BEHIND]


@pytest.mark.parametrize("read", ["told_policies", "told"])
def test_a_look_that_read_before_another_one_told_does_not_tell_again(nights, monkeypatch, read):
    """Of the first server nobody was told before; of the second there is an item already."""
    from quiesce.aws.posture.watch import Watch

    first, second = nights.add_server("ONE"), nights.add_server("TWO")
    nights.back_up(first)
    nights.back_up(second)
    nights.pass_hours(27)
    if read == "told":
        nights.back_up(second)
        nights.look()
        nights.pass_hours(27)
    before, method, seen = len(nights.subjects()), getattr(Watch, read), []

    def slow(watch: Watch, *given: Any) -> Any:
        found = method(watch, *given)
        if not seen:
            seen.append(1)
            nights.look(request_id="the other")
        return found

    monkeypatch.setattr(Watch, read, slow)
    nights.look(request_id="this one")
    assert nights.subjects()[before:] == [BEHIND]


def removed_server(nights: Nights) -> Any:
    """Return a server that is gone, and whose last recovery point was removed."""
    server, points = nights.add_server("REMOVED"), Points(nights.cloud.dynamodb, TABLE)
    nights.lose(nights.back_up(server))
    points.forget(next(points.listed(server.instance_id)))
    nights.cloud.ec2.terminate_instances(InstanceIds=[server.instance_id])
    return server


def test_the_weekly_list_has_what_nobody_will_remove_with_dollars_and_is_mailed_once_a_week(nights):
    kept, gone, left = nights.add_server("KEPT"), nights.add_server("GONE"), nights.add_server("LEFT")
    for server in (kept, gone, left):
        nights.back_up(server)
        nights.back_up(server)
    removed = removed_server(nights)
    image = nights.cloud.ec2.create_image(
        InstanceId=kept.instance_id,
        Name="old",
        NoReboot=True,
        TagSpecifications=[
            {"ResourceType": kind, "Tags": [{"Key": "quiesce:stack", "Value": STACK},
                                            {"Key": "quiesce:instance", "Value": removed.instance_id}]}
            for kind in ("image", "snapshot")
        ],
    )["ImageId"]  # fmt: skip
    stray, child = (
        nights.cloud.ec2.create_snapshot(
            VolumeId=next(iter(kept.volumes.values())),
            TagSpecifications=[
                {"ResourceType": "snapshot", "Tags": [{"Key": "quiesce:stack", "Value": STACK},
                 {"Key": key, "Value": value}, {"Key": "quiesce:instance", "Value": kept.instance_id}]}
            ],
        )["SnapshotId"]
        for key, value in (("quiesce:run", "unknown-1"), ("quiesce:built-for", "drill-7"))
    )  # fmt: skip
    nights.lose("nightly-001")
    nights.cloud.ec2.terminate_instances(InstanceIds=[gone.instance_id])
    nights.tag(left, backup="no")
    nights.pass_hours(72)
    snapshots = {each["id"] for each in nights.cloud.snapshots()}
    found = nights.list_unclaimed()
    kinds = {(item.kind, item.what, item.instance_id, item.policy, item.count) for item in found.items}
    assert kinds == {
        ("points", "", gone.instance_id, "nightly", 6),
        ("points", "", left.instance_id, "nightly", 6),
        ("record", "nightly-001", kept.instance_id, "nightly", 3),
        ("snapshots", "unknown-1", kept.instance_id, "", 1),
        ("built", "drill-7", kept.instance_id, "", 1),
        ("image", image, removed.instance_id, "", 3),
    }
    dear = next(item for item in found.items if item.instance_id == gone.instance_id)
    assert 0 < dear.dollars_at_least < dear.dollars_at_most == pytest.approx(dear.gib * 0.05, abs=0.01)
    assert found.items[0].dollars_at_most >= found.items[-1].dollars_at_most
    assert {stray, child} <= {snapshot_id for item in found.items for snapshot_id in item.snapshots}
    nights.list_unclaimed()
    assert nights.subjects() == [f"Not ours to delete: {STACK}"]
    text = nights.cloud.mails()[0][1]
    assert "Recovery points that no policy adds to any more: 2, $" in text
    assert "nightly: the server is terminated, or gone; 6 snapshots, $" in text
    nights.pass_hours(7 * 24)
    nights.list_unclaimed()
    assert nights.subjects() == [f"Not ours to delete: {STACK}"] * 2
    assert {each["id"] for each in nights.cloud.snapshots()} == snapshots


def test_the_weekly_list_has_nothing_of_what_is_young_in_the_table_or_being_removed(nights):
    server = nights.add_server()
    removed, unlisted = nights.back_up(server), nights.back_up(server)
    points = Points(nights.cloud.dynamodb, TABLE)
    by_run = {point.run_id: point for point in points.listed(server.instance_id)}
    points.begin_removal(by_run[removed], "a test", nights.clock.now())
    nights.lose(removed)
    points.forget(by_run[unlisted])
    nights.pass_hours(72)
    young = [{"Key": "quiesce:stack", "Value": STACK}, {"Key": "quiesce:run", "Value": "new-1"}]
    nights.cloud.ec2.create_snapshot(
        VolumeId=next(iter(server.volumes.values())), TagSpecifications=[{"ResourceType": "snapshot", "Tags": young}]
    )
    assert nights.list_unclaimed().items == []
    assert nights.subjects() == []


def test_a_weekly_list_that_runs_out_of_time_says_so_and_calls_no_record_empty(nights):
    server = nights.add_server()
    nights.lose(nights.back_up(server))
    nights.back_up(server)
    found = nights.list_unclaimed(remaining_ms=100_000)
    assert found.items == []
    assert "only 3 snapshots could be looked at" in found.unknown[0]
    assert "Not known:   only 3 snapshots" in nights.cloud.mails()[0][1]


def test_a_weekly_mail_whose_sender_died_is_sent_by_the_repetition_of_its_call(nights):
    server = nights.add_server()
    nights.lose(nights.back_up(server))
    nights.wire.on("sns:Publish", dies_before)
    with pytest.raises(FunctionDied):
        nights.list_unclaimed(request_id="one")
    nights.list_unclaimed(request_id="two")
    assert nights.subjects() == []
    nights.list_unclaimed(request_id="one")
    nights.list_unclaimed(request_id="two")
    assert nights.subjects() == [f"Not ours to delete: {STACK}"]
