"""Instance profiles of servers that exist, as EC2 gives and takes them; moto takes one for a server in any state."""

from collections.abc import Callable

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.iam_instance_profiles import IamInstanceProfiles

from sandbox.aws.instances import INSTANCES, take_profile

Call = Callable[[IamInstanceProfiles], ActionResult]


def _associate(original: Call) -> Call:
    """API reference, AssociateIamInstanceProfile: "a running or stopped instance", and one profile for each."""

    def associate(self: IamInstanceProfiles) -> ActionResult:
        instance_id = self._get_param("InstanceId")
        state = self.ec2_backend.get_instance(instance_id).state
        if state not in ("running", "stopped"):
            raise EC2ClientError("IncorrectInstanceState", f"The instance '{instance_id}' is {state}.")
        take_profile(self)
        answer = original(self)
        _tell(instance_id)
        return answer

    return associate


def _disassociate(original: Call) -> Call:
    def disassociate(self: IamInstanceProfiles) -> ActionResult:
        answer = original(self)
        _tell(answer.result["IamInstanceProfileAssociation"].instance_id)  # type: ignore[index]
        return answer

    return disassociate


def _tell(instance_id: str) -> None:
    for listener in INSTANCES.associated:
        listener(instance_id)


def install() -> None:
    """Put these rules into moto; calling it again changes nothing."""
    if IamInstanceProfiles.associate_iam_instance_profile.__module__ == __name__:
        return
    given, taken = (
        IamInstanceProfiles.associate_iam_instance_profile,
        IamInstanceProfiles.disassociate_iam_instance_profile,
    )
    IamInstanceProfiles.associate_iam_instance_profile = _associate(given)  # type: ignore[method-assign]
    IamInstanceProfiles.disassociate_iam_instance_profile = _disassociate(taken)  # type: ignore[method-assign]
