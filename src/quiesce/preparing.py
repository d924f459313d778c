"""Plan's last part: see whether the server can be asked, and put what its session will need onto its disk."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce import bucket, verbs
from quiesce.errors import AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused
from quiesce.inventory import inventory_of, remarks, with_drives
from quiesce.planning import without_asking
from quiesce.preflight import obstacle
from quiesce.scripts import Stage, choose, places
from quiesce.session import staged_of
from quiesce.ssm import Guest
from quiesce.state import Plan

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class ScriptStore:
    """The bucket with the scripts: one client that looks, and one whose links name the bucket's own host."""

    client: "S3Client"
    links: "S3Client"
    bucket: str

    def find(self, plan: Plan) -> dict[Stage, str | None]:
        """Return the key of each script, None where there is none.

        Raises:
            PolicyRefused: a script is there twice.
        """
        keys = bucket.list_scripts(self.client, self.bucket, places(plan.owner, plan.instance_id))
        return choose(keys, owner=plan.owner, instance_id=plan.instance_id, policy=plan.policy)

    def link(self, key: str) -> str:
        """Return a presigned link to the present version of a script."""
        return bucket.link_to_script(self.client, self.links, self.bucket, key)


def prepare(guest: Guest, store: ScriptStore, plan: Plan) -> Plan:
    """Stage a run on its server, or plan a crash-consistent backup where that can't be done.

    Raises:
        ServerRefused: it can't be done, and the policy takes nothing less.
        PolicyRefused: a script is there twice.
    """
    agent = guest.describe_agent() if plan.instance_state == "running" else None
    reason = obstacle(plan.instance_state, plan.platform, agent)
    if reason:
        return without_asking(plan, reason)
    try:
        return _staged(guest, store, _known(guest, plan))
    except (AgentUnreachable, AnswerUnreadable, CommandRefused) as error:
        return without_asking(plan, str(error))
    except GuestRefused as error:
        return without_asking(plan, f"the server refused: {error}")


def _known(guest: Guest, plan: Plan) -> Plan:
    """Add what the server says of itself; a server that has no words for it can be backed up all the same."""
    answer = guest.ask("inventory", verbs.inventory_parameters(plan), verbs.INVENTORY_PATIENCE)
    if not answer.ok and answer.error.startswith("InventoryUnreadable"):
        return plan.model_copy(update={"notes": [*plan.notes, f"the server can't say what it is: {answer.error}"]})
    inventory = inventory_of(answer)
    windows = f"{inventory.windows.name or 'Windows'} {inventory.windows.version or ''}".strip()
    notes = [*plan.notes, *remarks(plan.volumes, plan.excluded, inventory)]
    volumes = with_drives(plan.volumes, inventory)
    return plan.model_copy(update={"windows": windows, "volumes": volumes, "notes": notes})


def _staged(guest: Guest, store: ScriptStore, plan: Plan) -> Plan:
    """Have the server fetch what its session will need."""
    scripts = plan.needed_scripts()
    found = store.find(plan) if scripts.source == "bucket" else {}
    links = {stage: store.link(key) for stage, key in found.items() if key}
    staged = staged_of(guest.ask("stage", verbs.stage_parameters(plan, scripts, links), verbs.STAGE_PATIENCE))
    where = "in the bucket" if scripts.source == "bucket" else "on the server"
    looked = f" ({' or '.join(places(plan.owner, plan.instance_id))})" if scripts.source == "bucket" else ""
    notes = [f"there is no {stage} script {where}{looked}" for stage in staged.missing()]
    return plan.model_copy(update={"notes": [*plan.notes, *notes]})
