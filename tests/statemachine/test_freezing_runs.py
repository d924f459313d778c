"""Runs with scripts, in which nothing goes wrong or only the server does something."""

from tests.statemachine.truth import record_of


def test_a_server_with_scripts_gets_an_application_consistent_recovery_point(machine, cloud, shop, frozen_request):
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert (run.status, record["status"], record["consistency"]["level"]) == ("SUCCEEDED", "Successful", "application")
    assert shop.application.asked == ["before", "after 1", "complete 1"]
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"application"}
    assert cloud.lease(shop.instance_id) is None
