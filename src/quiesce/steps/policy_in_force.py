"""The policy by which a run goes: its file as it is now, or, for a schedule, the last good text of a bad one."""

from dataclasses import dataclass

from quiesce.aws.bucket import Bucket
from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.errors import PolicyRefused
from quiesce.policy.file import read_policy_file
from quiesce.policy.policy import Policy


@dataclass(frozen=True)
class InForce:
    """A policy, the text that it was read from, and what to say of it, mostly nothing."""

    policy: Policy
    content: bytes
    note: str = ""


def policy_in_force(bucket: Bucket, kept: PoliciesInForce, name: str, *, scheduled: bool) -> InForce:
    """Return the policy by which a run goes.

    A person who starts a run hears of the bad file at once; at night nobody would, and a backup by the last good text
    is better than none.

    Args:
        bucket: with the policy's file.
        kept: the texts in force.
        name: the policy.
        scheduled: whether a schedule started the run.

    Raises:
        PolicyRefused: there is no such file; or it is bad, and a person started the run, or no text is in force.
    """
    content, where = bucket.read_policy(name)
    try:
        return InForce(read_policy_file(content, name, where), content)
    except PolicyRefused as refused:
        text = kept.text(name).encode() if scheduled else b""
        if not text:
            raise
        policy = read_policy_file(text, name, f"the text of '{name}' in force")
        return InForce(policy, text, f"the policy's file is bad, and its last good text is in force: {refused}")
