"""Whether a file is a policy, or why it is none. Pure."""

from typing import NamedTuple

from quiesce.errors import PolicyRefused
from quiesce.policy.file import read_policy_file
from quiesce.policy.policy import Policy
from quiesce.policy.target import TargetSettings
from quiesce.retention.archiving import archive_remark
from quiesce.retention.locking import lock_remark
from quiesce_cli.answers.shapes import PolicyShape, PolicyTarget


class Judged(NamedTuple):
    """A file as commands show it, and the policy in it, if it is one."""

    shape: PolicyShape
    policy: Policy | None


def judge(content: bytes, place: str, name: str) -> Judged:
    """Return what a file is: a policy, or what is wrong with it."""
    try:
        policy = read_policy_file(content, name, place)
    except PolicyRefused as refused:
        where = refused.field.removeprefix(f"{place}: ").removeprefix(place).lstrip(", ")
        words = f"{where}: {refused.problem}" if where else refused.problem
        problem = f"{words}; {refused.remedy}"
        return Judged(PolicyShape(name=name, place=place, owner="", good=False, problem=problem, targets=[]), None)
    targets = [_target(target.words, policy.settings_of(number)) for number, target in enumerate(policy.targets)]
    remarks = [*filter(None, [lock_remark(policy), archive_remark(policy)])]
    shape = PolicyShape(
        name=name, place=place, owner=policy.owner, good=True, problem="", targets=targets, remarks=remarks
    )
    return Judged(shape, policy)


def _target(servers: str, settings: TargetSettings) -> PolicyTarget:
    return PolicyTarget(
        servers=servers,
        asks=settings.freezes,
        vss=settings.freezes and settings.vss != "off",
        scripts=settings.freezes and settings.scripts != "off",
        consistency=settings.consistency,
    )
