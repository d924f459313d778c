"""100 recoveries at 100 instants: the shop is whole and as of its shadow copies, and with revert off often torn."""

import pytest

from sandbox.windows.application import BusyApplication, examine
from tests.support.factories.policy import a_policy
from tests.support.memory_files import MemoryFiles

SEEDS, AT_A_TIME = range(100), 5


def torn_at(seed: int) -> bool:
    """Return whether the shop is torn when EBS takes the snapshots, after its work before and after the freeze."""
    drives = {"D:": MemoryFiles(), "E:": MemoryFiles()}
    application = BusyApplication(seed, drives)
    application.work(), application.freeze(), application.work()
    return examine(drives).torn


def test_half_of_the_instants_tear_what_the_application_was_not_asked_about():
    assert sum(map(torn_at, SEEDS)) >= 50


@pytest.mark.grid
@pytest.mark.parametrize("first", SEEDS[::AT_A_TIME])
def test_a_recovered_shop_is_whole_and_with_revert_off_as_the_raw_volumes_are(cloud, machine, first):
    image_id = cloud.servers.add_image("windows")
    for seed in range(first, first + AT_A_TIME):
        server = cloud.servers.add(f"S{seed}", seed=seed)
        policy = cloud.put_policy(a_policy(server.instance_id, name="orders", vss={}))
        record = machine.start({"policy": policy, "instance_id": server.instance_id}).output
        raw = cloud.servers.examine({each["volume_id"]: each["snapshot_id"] for each in record["snapshots"]})
        frozen = cloud.servers.examine_shadow_copies(record)
        assert (frozen.torn, raw.torn, frozen.orders < raw.orders) == (False, torn_at(seed), True), seed
        for revert, wanted in (({}, frozen), ({"revert": "off"}, raw)):
            run = machine.recover(
                {
                    "recovery_point": record["run_id"],
                    "recovery_id": f"seed-{seed}-{len(revert)}",
                    "image_id": image_id,
                    "beside_the_old_one": True,
                    **revert,
                }
            )
            assert cloud.servers.examine_server(run.output["instance_id"]) == wanted, (seed, revert)
