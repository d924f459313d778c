"""Instance profiles: EC2 takes those that IAM has, which is MiniStack's here, and by one a server's agent registers."""

from ministack.core.responses import get_account_id
from ministack.services import iam

from sandbox.aws.instances import INSTANCES, Profile

# Systems Manager user guide, "Configure instance permissions required for Systems Manager".
OF_AGENTS = "AmazonSSMManagedInstanceCore"


def find(name_or_arn: str) -> Profile | None:
    """Return the profile of this name or ARN; None if there is none, or if it has no role."""
    for name, profile in iam._instance_profiles.items():
        if name_or_arn in (name, profile["Arn"]) and profile["Roles"]:
            role = iam._roles[profile["Roles"][0]]
            managed = {arn.rpartition("/")[2] for arn in role["AttachedPolicies"]}
            role_arn = f"arn:aws:iam::{get_account_id()}:role/{role['RoleName']}"
            return Profile(name, profile["Arn"], role_arn, OF_AGENTS in managed)
    return None


def install() -> None:
    """Let RunInstances take these profiles."""
    INSTANCES.profile_of = find
