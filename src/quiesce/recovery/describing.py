"""The steps of a recovery in words, for the person who reads a dry run. Pure."""

from quiesce.recovery.instants import instants
from quiesce.recovery.plan import PlannedVolume, RecoveryPlan
from quiesce.revert.plan import PlannedChild

# EC2 checks a key only when it makes a volume or starts a server (API reference, CreateVolume, KmsKeyId).
UNTRIED = (
    "Keys are not tried by a dry run: whether the recovery may use those of the snapshots, of the image and of the "
    "account's default shows when it creates the volumes and starts the server (docs/use/recover.md, Rights)."
)


def describe(plan: RecoveryPlan) -> list[str]:
    """Describe the steps of a recovery in their order, for a person to read."""
    new_ip = f", private address {plan.private_ip}" if plan.private_ip else ""
    awaited = "Systems Manager hears from it" if plan.agent == "ssm" else "EC2's status checks are passed"
    lines = [
        *([f"Wait: {plan.restoring.words}."] if plan.restoring else []),
        *_building(plan),
        f"Launch {plan.instance_type} from {plan.image_id} in {plan.subnet_id}{new_ip}, key {plan.key_name or 'none'}, "
        f"profile {plan.instance_profile_arn or 'none'}, into a security group without traffic.",
        "Stop it as soon as it runs.",
        *(f"Create a volume of {_volume_words(volume)} from {_source(plan, volume)}." for volume in plan.volumes),
        f"Detach the image's own volume from {plan.root_device}; it is deleted at the end.",
        *(f"Attach the volume from {_source(plan, v)} at {v.device}, {_end_words(v)}." for v in plan.volumes),
        f"Give it the security groups {', '.join(plan.security_group_ids)}, and start it.",
        f"Wait until {awaited}.",
        *_asking(plan),
        *(
            f"Leave {snapshot_id} aside: its volume was attached while the backup ran."
            for snapshot_id in plan.left_aside
        ),
        *([f"{plan.caution[0].upper()}{plan.caution[1:]}."] if plan.caution else []),
        *([UNTRIED] if plan.mode == "dry-run" else []),
    ]
    return [f"{number}. {line}" for number, line in enumerate(lines, 1)]


def _asking(plan: RecoveryPlan) -> list[str]:
    """Return what is done about the backup's session, which the snapshots hold open."""
    if not plan.froze:
        return []
    after = "no script runs"
    if plan.thaw_after_recovery:
        after = "the after script runs there with 1, if before had succeeded and after had not begun"
    return [f"If Systems Manager hears from it, ask how the backup's session ended there; {after}."]


def _building(plan: RecoveryPlan) -> list[str]:
    """Return what is done before anything is launched, and as of which instants the volumes will be."""
    states = [f"{line}." for line in instants(plan)]
    if plan.built:
        return [
            "Build nothing: the backup has built the snapshots as of their shadow copies, and read them back.",
            *states,
        ]
    if plan.looked is None:
        later = "What can be built as of the shadow copies shows once they are restored, before anything is launched."
        return [later] if plan.restoring and plan.build else []
    children = plan.looked.children
    if not children:
        return ["Build nothing: no volume can be built as of its shadow copy.", *states]
    built = [f"Build a snapshot from {child.snapshot_id}, {_blocks(child)}." for child in children]
    return [*built, f"Altogether, {plan.looked.estimate.words}.", *states]


def _blocks(child: PlannedChild) -> str:
    return f"of which at most {child.blocks_written:,} blocks of 512 KiB differ from it"


def _source(plan: RecoveryPlan, volume: PlannedVolume) -> str:
    children = plan.looked.children if plan.looked else []
    is_built = any(child.snapshot_id == volume.snapshot_id for child in children)
    return f"what is built from {volume.snapshot_id}" if is_built else volume.snapshot_id


def _volume_words(volume: PlannedVolume) -> str:
    parts = [f"{volume.size_gib} GiB", volume.volume_type]
    parts += [f"{volume.iops} IOPS"] if volume.iops else []
    parts += [f"{volume.throughput_mibps} MiB/s"] if volume.throughput_mibps else []
    parts += [f"key {volume.kms_key_id}"] if volume.kms_key_id else []
    parts += [f"initialized at {volume.initialization_rate_mibps} MiB/s"] if volume.initialization_rate_mibps else []
    return ", ".join(parts)


def _end_words(volume: PlannedVolume) -> str:
    return "deleted with the server" if volume.delete_on_termination else "kept when the server is terminated"
