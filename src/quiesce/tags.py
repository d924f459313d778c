"""The tags on everything that quiesce creates; it changes and deletes only what carries them."""

from collections.abc import Mapping
from typing import Any

PREFIX = "quiesce:"
STACK = "quiesce:stack"
RUN = "quiesce:run"
POLICY = "quiesce:policy"
OWNER = "quiesce:owner"
INSTANCE = "quiesce:instance"
# Set once the run is judged, by Report or sweep; IAM lets them write no others later.
CONSISTENCY = "quiesce:consistency"
DEVICE = "quiesce:device"
# ``raw`` on a snapshot beside which there is one that was built from it: its volumes are as after a power failure.
STATE, RAW = "quiesce:state", "raw"
# On what a recovery makes: RECOVERY for good, RECOVERING until the recovery has ended.
# Code and IAM let a recovery delete only what carries the second.
RECOVERY = "quiesce:recovery"
RECOVERING = "quiesce:recovering"

# On the snapshots of a recovery point before the first of them is deleted: no recovery chooses it any more.
REMOVING = "quiesce:removing"
# Put on a snapshot by a person, with who, why and until when: quiesce deletes nothing of that recovery point, and IAM
# denies it, until the tag is taken off.
HOLD = "quiesce:hold"
# Put on a server by a person, with the value of the stack's parameter MayBeChanged: a fix may change what keeps it from
# a backup; IAM denies it on any other server.
MAY_BE_CHANGED = "quiesce:may-be-changed"
# On a child, a snapshot whose volumes are as of their shadow copies: the id of the recovery or run it was built for.
BUILT_FOR = "quiesce:built-for"
# The raw snapshot that it differs from, and the digest of how.
BUILT_FROM = "quiesce:built-from"
BUILT_AS = "quiesce:built-as"
# The volume that it is of: EBS names none.
VOLUME = "quiesce:volume"

OURS = (STACK, RUN, POLICY, OWNER, INSTANCE, CONSISTENCY, DEVICE, STATE)
# EC2 allows 50 tags on a resource.
MAX_POLICY_TAGS = 50 - len(OURS)


def of_snapshot_set(
    *, stack: str, run_id: str, policy: str, owner: str, instance_id: str, extra: Mapping[str, str]
) -> dict[str, str]:
    """Return the tags of every snapshot of one run: the policy's own (``extra``) and ours."""
    return {**extra, STACK: stack, RUN: run_id, POLICY: policy, OWNER: owner, INSTANCE: instance_id}


def description(policy: str, instance_id: str, *, vss: bool) -> str:
    """Return the snapshots' description, which EC2 can't change once they exist."""
    return f"quiesce policy {policy}|instance: {instance_id}|{' VSS snapshot' if vss else ''}"


def tag_list(tag_set: Mapping[str, str]) -> list[Any]:
    """Return tags in the form that EC2's calls take."""
    return [{"Key": key, "Value": value} for key, value in tag_set.items()]


def tag_specification(kind: str, tag_set: Mapping[str, str]) -> Any:
    """Return tags for one kind of resource, in the form that the calls that create it take."""
    return {"ResourceType": kind, "Tags": tag_list(tag_set)}
