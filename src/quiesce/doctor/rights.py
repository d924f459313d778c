"""What the role of a server must be allowed, as questions to IAM's policy simulator, and what its answers mean.

An agent registers by it, and AWS's VSS components call EC2 by it (what they call: AWSEC2VssSnapshotPolicy, whose
conditions hold only with what a real call carries).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# The AWS managed policies with these rights.
OF_AGENTS, OF_AWS_VSS = "AmazonSSMManagedInstanceCore", "AWSEC2VssSnapshotPolicy"
# What an agent calls to register and to hear of commands (Systems Manager user guide, "Instance permissions").
OF_REGISTERING = (
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
Right = tuple[str, str]
"""An action, and the ARN of the resource on which it is needed."""


@dataclass(frozen=True)
class Question:
    """Rights that are asked for together; ``context`` has what a real call carries, by condition key."""

    rights: tuple[Right, ...]
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def actions(self) -> list[str]:
        """Every action, once."""
        return list(dict.fromkeys(action for action, _ in self.rights))

    @property
    def resources(self) -> list[str]:
        """Every resource, once."""
        return list(dict.fromkeys(resource for _, resource in self.rights))


@dataclass(frozen=True)
class Decision:
    """The simulator's word on one right; ``missing`` are the condition keys of which it was told nothing."""

    allowed: bool
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rights:
    """What a role lacks of what it was asked for; if ``why`` says something, that is not known."""

    role: str = ""
    lacks: tuple[str, ...] = ()
    why: str = ""


def for_agent() -> list[Question]:
    """Return what lets an agent register."""
    return [Question(tuple((action, "*") for action in OF_REGISTERING))]


def for_aws_vss(profile: str, region: str, instance_id: str, volume_ids: Sequence[str]) -> list[Question]:
    """Return what AWS's VSS components call of EC2: to take the snapshots, and to tag those that are consistent.

    ``profile`` is the ARN of the server's instance profile: its volumes are in the same account and partition.
    """
    _, partition, _, _, account, *_ = profile.split(":")
    owned, snapshot = f"arn:{partition}:ec2:{region}:{account}", f"arn:{partition}:ec2:{region}::snapshot/*"
    instance = f"{owned}:instance/{instance_id}"
    volumes = [f"{owned}:volume/{volume_id}" for volume_id in volume_ids]
    of_itself = {"ec2:SourceInstanceARN": [instance], "ec2:InstanceID": [instance_id]}
    taking = (
        ("ec2:DescribeInstanceAttribute", instance),
        *(("ec2:CreateSnapshots", each) for each in (instance, *volumes, snapshot)),
        ("ec2:CreateTags", snapshot),
        ("ec2:DescribeSnapshots", snapshot),
    )
    at_creation = {"aws:RequestTag/AwsVssConfig": ["x"], "ec2:CreateAction": ["CreateSnapshots"]}
    afterwards = {"ec2:ResourceTag/AwsVssConfig": ["x"], "aws:TagKeys": ["AppConsistent"]}
    return [
        Question(taking, of_itself | at_creation),
        Question((("ec2:CreateTags", snapshot),), of_itself | afterwards),
    ]


def judged(role: str, answers: Sequence[tuple[Question, Mapping[Right, Decision]]]) -> Rights:
    """Return what a role lacks, of the simulator's answers to all questions.

    A right that is denied while the simulator misses a condition key may be granted to the real call, so it is not
    known, as is one of which it says nothing.
    """
    lacks, doubts = dict[str, None](), dict[str, None]()
    for question, decisions in answers:
        for action, resource in question.rights:
            decision = decisions.get((action, resource))
            if decision is None:
                doubts[f"it says nothing of {action}"] = None
            elif not decision.allowed and decision.missing:
                doubts[f"it denies {action}, and was told nothing of {', '.join(decision.missing)}"] = None
            elif not decision.allowed:
                lacks[action] = None
    if doubts and not lacks:
        return Rights(role, why=f"IAM's policy simulator can't tell: {'; '.join(doubts)}")
    return Rights(role, tuple(lacks))
