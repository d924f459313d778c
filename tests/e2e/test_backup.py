"""The deployed product on the local AWS: real functions, real roles, real definition."""

import json


def test_a_running_server_gets_a_crash_consistent_recovery_point(aws, quiesce):
    server = aws.servers.add("SERVER1", seed=2)
    ended = quiesce.back_up(server)
    record = json.loads(ended["output"])
    assert (ended["status"], record["status"], record["consistency"]["level"]) == ("SUCCEEDED", "Successful", "crash")
    snapshots = {snapshot["volume_id"]: snapshot["snapshot_id"] for snapshot in record["snapshots"]}
    assert snapshots.keys() == set(server.volumes.values())
    assert aws.servers.examine(snapshots).torn


def test_nothing_that_a_backup_does_is_denied(aws, quiesce):
    quiesce.back_up(aws.servers.add("SERVER1"))
    assert aws.decisions.denied("quiesce") == []
