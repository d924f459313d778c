"""Servers of failover clusters: which node is backed up, and that no cluster is left without a backup unseen."""

import json

import pytest

from quiesce.aws.retention.points import Points
from quiesce.backup.parameters import SESSION_LIMIT_S
from quiesce.policy_run.summing import NOBODY
from sandbox.windows.cluster import FAILED, OFFLINE, PENDING, Cluster, Role, sql_cluster
from tests.statemachine.truth import record_of
from tests.support.environment import TABLE
from tests.support.factories.policy import a_policy
from tests.support.wire import answer_lost

NOT_KNOWN = "role is primary-only, and the server's own is not known, so that it is backed up as with any: "


@pytest.fixture
def nodes(cloud):
    """Two servers with an application each, which are the nodes of a cluster; SQL-A owns its role."""
    cloud.put_scripts("orders")
    cluster = sql_cluster("SQL-A")
    servers = {name: cloud.add_server(name, application=True) for name in cluster.nodes}
    for name, server in servers.items():
        server.windows.guest.condition.cluster, server.windows.guest.condition.node = cluster, name
    return servers


@pytest.fixture
def cluster(nodes):
    return nodes["SQL-A"].windows.guest.condition.cluster


@pytest.fixture
def policy(cloud, nodes):
    """Put a policy for both nodes, with these settings, and return its name."""

    def put(role="primary-only", **settings):
        ids = [server.instance_id for server in nodes.values()]
        defaults = {"scripts": {"from": "bucket"}, "role": role, **settings}
        return cloud.put_policy(a_policy(*ids, name="orders", defaults=defaults))

    return put


@pytest.fixture
def back_up(machine, nodes, policy):
    """Back up a node by this policy."""

    def back_up(node, role="primary-only", **settings):
        return machine.start({"policy": policy(role, **settings), "instance_id": nodes[node].instance_id})

    return back_up


def assert_passed_over(cloud, machine, run, server):
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "Skipped"), (run.error, run.cause)
    assert run.states == ["Begin", "Plan", "Freezes?", "Report", "Failed?", "Recorded"]
    assert server.application.asked == [], "nothing was frozen"
    assert cloud.snapshots() == []
    assert cloud.lease(server.instance_id) is None
    assert [verb for verb in asked_of(cloud, server) if verb != "inventory"] == [], "nothing was put on the server"


def asked_of(cloud, server):
    sent = [each for each in cloud.run_command.sent if server.instance_id in each["InstanceIds"]]
    return [each["Parameters"]["Verb"][0] for each in sent]


def test_both_nodes_believe_that_the_other_is_the_one_and_people_are_told_the_same_night(
    machine, cloud, nodes, cluster, policy
):
    """The worst day: the role moved between the two looks, so that each node saw it on the other."""
    cluster.move("SQL1", "SQL-B")
    first, second = sorted(nodes.values(), key=lambda server: server.instance_id)
    names = {server.instance_id: name for name, server in nodes.items()}
    cluster.move("SQL1", names[second.instance_id])
    looked = []

    def fails_over():
        looked.append(1)
        if len(looked) > 1:
            cluster.move("SQL1", names[first.instance_id])
        machine.before("plan", fails_over)

    machine.before("plan", fails_over)
    run = machine.run_policy({"policy": policy()})
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "Skipped")
    assert run.output["reason"] == "role leaves out all 2 servers"
    assert run.output["by_status"] == {"Skipped": 2}
    assert run.output["warnings"] == [NOBODY]
    assert cloud.snapshots() == []
    [(subject, text)] = cloud.mails()
    assert subject == "Skipped, with a warning: policy orders"
    assert NOBODY in text


def test_a_passive_node_leaves_no_recovery_point_and_its_run_succeeds(machine, cloud, nodes, back_up):
    run = back_up("SQL-B")
    assert_passed_over(cloud, machine, run, nodes["SQL-B"])
    reason = (
        "role is primary-only, and this is a secondary node: of cluster SHOP-SQL it owns no role that is online: "
        "SQL1 is on SQL-A"
    )
    assert (run.output["reason"], run.output["consistency"]) == (reason, {"level": "none", "reason": reason})
    assert run.output["cluster"] == {
        "cluster": "SHOP-SQL",
        "node": "SQL-B",
        "nodes": ["SQL-A", "SQL-B"],
        "role": "secondary",
        "why": reason.partition(": ")[2],
    }
    assert (run.output["failure"], run.output["snapshots"], run.output["session"]) == (None, [], None)
    assert record_of(cloud, run, nodes["SQL-B"].instance_id) == run.output
    assert cloud.mails() == []
    assert machine.wire.count("ec2:DescribeSnapshots") == 0, "nobody looks for what can't exist"


def test_the_node_that_owns_the_role_is_backed_up_and_its_record_says_why(cloud, nodes, back_up):
    run = back_up("SQL-A")
    assert run.output["status"] == "Successful", run.output["reason"]
    assert nodes["SQL-A"].application.asked == ["before", "after 1", "complete 1"]
    note = "the server was the primary node when the run was planned, as role says: it owns SQL1 of cluster SHOP-SQL"
    assert note in run.output["notes"]


@pytest.mark.parametrize(("node", "status"), [("SQL-A", "Skipped"), ("SQL-B", "Successful")])
def test_secondary_only_is_the_other_way_round(back_up, node, status):
    assert back_up(node, "secondary-only").output["status"] == status


def test_without_a_role_no_server_is_asked_for_its_cluster(cloud, nodes, back_up):
    for name, server in nodes.items():
        run = back_up(name, "any")
        assert (run.output["status"], run.output["cluster"]) == ("Successful", None)
        server.windows.guest.condition.unanswered = {"cluster"}
    asked = [each["Parameters"] for each in cloud.run_command.sent if each["Parameters"]["Verb"] == ["inventory"]]
    assert [parameters["Cluster"] for parameters in asked] == [["false"], ["false"]]


def no_answer(server, cluster):
    server.windows.guest.condition.unanswered = {"cluster"}


def no_feature(server, cluster):
    server.windows.guest.condition.cluster = None


def nobody_made_one(server, cluster):
    server.windows.guest.condition.cluster = Cluster("", ())


def another_name(server, cluster):
    server.windows.guest.condition.node = "EC2AMAZ-1234567"


def failing_over(server, cluster):
    cluster.move("SQL1", "SQL-A", PENDING)


def failed(server, cluster):
    cluster.move("SQL1", "SQL-A", FAILED)


def offline(server, cluster):
    cluster.move("SQL1", "SQL-A", OFFLINE)


def a_state_that_nobody_knows(server, cluster):
    cluster.move("SQL1", "SQL-A", 2**32 - 1)


def no_owner(server, cluster):
    cluster.roles = [Role("SQL1", None)]


def no_role_at_all(server, cluster):
    cluster.roles = [role for role in cluster.roles if role.name != "SQL1"]


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (no_answer, "cluster: Access denied"),
        (no_feature, "the server is in no failover cluster"),
        (nobody_made_one, "the server is in no failover cluster"),
        (another_name, "cluster SHOP-SQL does not list EC2AMAZ-1234567 as one of its nodes"),
        (failing_over, "SQL1 of cluster SHOP-SQL is failing over, or has failed"),
        (failed, "SQL1 of cluster SHOP-SQL is failing over, or has failed"),
        (a_state_that_nobody_knows, "SQL1 of cluster SHOP-SQL is failing over, or has failed"),
        (offline, "no role of cluster SHOP-SQL is online"),
        (no_role_at_all, "no role of cluster SHOP-SQL is online"),
        (no_owner, "cluster SHOP-SQL does not say who owns SQL1"),
    ],
)
def test_a_node_of_whose_role_nothing_is_known_is_backed_up_and_its_record_says_so(
    nodes, cluster, back_up, happens, why
):
    """A backup too many harms less than none; before these changes, the node would have been passed over."""
    happens(nodes["SQL-B"], cluster)
    run = back_up("SQL-B")
    assert run.output["status"] == "Successful", run.output["reason"]
    assert NOT_KNOWN + why in run.output["notes"]
    assert run.output["cluster"]["role"] == "not known"


def test_a_server_that_does_not_answer_is_not_known_to_be_passive_either(machine, cloud, nodes, back_up):
    nodes["SQL-B"].windows.switch_off()
    cloud.servers.advance()
    machine.clock.now_s += 3600
    run = back_up("SQL-B")
    assert (run.output["status"], run.output["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert any(note.startswith(NOT_KNOWN) for note in run.output["notes"])


@pytest.mark.parametrize("call", ["dynamodb:UpdateItem", "s3:PutObject", "dynamodb:TransactWriteItems"])
def test_a_lost_answer_at_the_end_of_a_skipped_run_leaves_the_same_record_and_a_free_server(
    machine, cloud, nodes, back_up, call
):
    machine.before("report", lambda: machine.wire.on(call, answer_lost))
    run = back_up("SQL-B")
    assert_passed_over(cloud, machine, run, nodes["SQL-B"])
    assert len(cloud.records()) == 1
    assert cloud.mails() == []


@pytest.mark.parametrize("state", ["Freezes?", "Report", "Failed?"])
def test_a_skipped_run_that_is_stopped_is_ended_by_sweep_as_skipped(machine, cloud, nodes, back_up, state):
    machine.stop_in(state)
    run = back_up("SQL-B")
    assert run.status == "ABORTED"
    machine.sweep(run)
    record = record_of(cloud, run, nodes["SQL-B"].instance_id)
    assert (record["status"], record["failure"], record["snapshots"]) == ("Skipped", None, [])
    assert cloud.lease(nodes["SQL-B"].instance_id) is None
    assert (cloud.snapshots(), nodes["SQL-B"].application.asked) == ([], [])


def test_a_failover_between_plan_and_freeze_backs_up_the_node_as_it_is_by_then(machine, nodes, cluster, back_up):
    """What is planned is done: the other node was passed over for it, and nobody else would be backed up."""
    machine.before("freeze", lambda: cluster.move("SQL1", "SQL-B"))
    run = back_up("SQL-A")
    assert run.output["status"] == "Successful"
    assert any("was the primary node when the run was planned" in note for note in run.output["notes"])


def test_a_passive_node_breaks_no_series_of_mails(machine, cloud, nodes, cluster, back_up):
    """Failed, skipped, Successful: the good run is told as the first one; skipped, Successful is no news."""
    cloud.hold(nodes["SQL-A"].instance_id, "another-run", machine.clock.now_s + 86_400)
    assert back_up("SQL-A").status == "FAILED"
    cloud.free(nodes["SQL-A"].instance_id)
    cluster.move("SQL1", "SQL-B")
    assert back_up("SQL-A").output["status"] == "Skipped"
    cluster.move("SQL1", "SQL-A")
    for _ in range(2):
        assert back_up("SQL-A").output["status"] == "Successful"
        cluster.move("SQL1", "SQL-B")
        assert back_up("SQL-A").output["status"] == "Skipped"
        cluster.move("SQL1", "SQL-A")
    subjects = [subject.partition(":")[0] for subject, _ in cloud.mails()]
    assert subjects == ["Failed", "Successful again"]


def test_a_session_that_is_open_on_a_passive_node_is_told_and_left_to_the_next_run_there(
    machine, cloud, nodes, cluster, back_up
):
    """Its application may be held: nobody stages anything there, so nobody ends it, and each run says so."""
    cluster.move("SQL1", "SQL-B")
    machine.stop_in("WaitForSnapshots")
    stopped = back_up("SQL-B")
    machine.stop_in("")
    [old] = nodes["SQL-B"].windows.guest.sessions()
    old.runner, old.tasks = None, set()
    machine.clock.now_s += SESSION_LIMIT_S + 3700
    cloud.servers.advance()
    cluster.move("SQL1", "SQL-A")
    run = back_up("SQL-B")
    assert run.output["status"] == "Skipped"
    assert run.output["overdue_sessions"] == [f"run {stopped.name}, attempt 1"]
    [(subject, text)] = cloud.mails()
    assert subject.startswith("An old session was open: ")
    assert f"Note:        the session of run {stopped.name}, attempt 1 was still open on the server" in text


def test_a_policy_run_counts_the_passive_node_and_is_successful(machine, cloud, nodes, policy):
    run = machine.run_policy({"policy": policy()})
    summary = run.output
    assert (summary["status"], summary["worst"], summary["warnings"]) == ("Successful", [], [])
    assert summary["reason"] == "of 2 servers 1 is backed up, 1 passive node of clusters was skipped"
    assert summary["by_status"] == {"Skipped": 1, "Successful": 1}
    assert summary["by_consistency"] == {"application": 1, "none": 1}
    assert cloud.mails() == []


def test_the_primary_that_fails_is_not_made_good_by_the_passive_node(machine, cloud, nodes, policy):
    cloud.hold(nodes["SQL-A"].instance_id, "another-run", machine.clock.now_s + 86_400)
    run = machine.run_policy({"policy": policy()})
    assert (run.error, json.loads(json.dumps(run.cause))) == ("PolicyRunFailed", "of 2 servers: 1 Failed, 1 Skipped")
    [(subject, _)] = cloud.mails()
    assert subject == "Failed: policy orders"


def test_a_skipped_run_is_listed_as_a_run_and_not_as_a_recovery_point(cloud, nodes, back_up):
    run, instance_id = back_up("SQL-B"), nodes["SQL-B"].instance_id
    points = Points(cloud.dynamodb, TABLE)
    assert list(points.listed(instance_id)) == []
    assert [item["run"] for key, item in cloud.items().items() if key[0] == f"points#{instance_id}"] == [run.name]
