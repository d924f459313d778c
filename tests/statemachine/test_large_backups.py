"""The largest backup with VSS: 64 volumes in one shadow set, of which each state passes on all that is known."""

import json

from sandbox.servers import DISKS, Disk
from tests.statemachine.test_large_recoveries import DEVICES
from tests.support.environment import MAX_STATE_BYTES
from tests.support.factories.policy import a_policy

# VSS's own limit (Microsoft, VSS overview).
MOST = 64
# The rest is for what EBS says of encrypted volumes, and for reasons of what went wrong.
MAX_BYTES = MAX_STATE_BYTES // 2


def test_a_run_with_64_volumes_in_one_shadow_set_takes_less_than_half_of_what_a_state_may_pass_on(cloud, machine):
    taken = {disk.device for disk in DISKS}
    free = [device for device in DEVICES if device not in taken][: MOST - len(DISKS)]
    disks = (*DISKS, *(Disk(device, 1, rf"C:\mount\{device}") for device in free))
    server = cloud.add_server("MANY", disks, application=True)
    cloud.put_scripts("orders")
    policy = a_policy(server.instance_id, name="orders", vss={}, defaults={"scripts": {"from": "bucket"}})
    run = machine.start({"policy": cloud.put_policy(policy), "instance_id": server.instance_id})
    assert (run.output["status"], run.output["consistency"]["level"]) == ("Successful", "application")
    passed = {state: len(json.dumps(run.input_of(state))) for state in ("Thaw", "Verify", "Complete", "Report")}
    assert max(passed.values()) < MAX_BYTES, passed
    # What Windows says of them is packed in between, and whole in the record.
    shadow = run.output["session"]["shadow"]
    assert (len(shadow["copies"]), len(shadow["storage"])) == (MOST, MOST)
