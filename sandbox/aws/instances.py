"""Instances as on EC2, where moto differs: start and stop take time, with refusals meanwhile; one launch per token.

`install` changes moto for the whole process, as that of `snapshots` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, InstanceState
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.instances import InstanceResponse
from moto.iam.models import iam_backends

from sandbox.aws.keys import GIVEN_UP, KEYS, to_attach
from sandbox.aws.snapshots import RULES
from sandbox.aws.volumes import give_key

# The size of the root of AWS's public Windows images.
PUBLIC_ROOT_GIB = 30


@dataclass(frozen=True)
class Profile:
    """An instance profile; ``for_agents`` is whether its role lets an agent register with Systems Manager."""

    name: str
    arn: str
    role_arn: str
    for_agents: bool


@dataclass
class InstanceRules:
    """The knobs of simulated instances; without them everything happens at once."""

    starting_s: float = 0.0
    stopping_s: float = 0.0
    never_stops: bool = False
    never_passes_checks: bool = False
    started: list[Callable[[Any], None]] = field(default_factory=list)
    """Called with each stopped instance that is started."""
    launched: list[Callable[[Any], None]] = field(default_factory=list)
    """Called with each instance that is launched."""
    profile_of: Callable[[str], Profile | None] | None = None
    """Finds IAM's instance profile of a name or ARN; None where moto has an IAM of its own."""
    associated: list[Callable[[str], None]] = field(default_factory=list)
    """Called with the id of each instance whose profile was associated or disassociated."""

    def reset(self) -> None:
        """Restore the defaults, but keep the listeners."""
        kept = {"started": self.started, "launched": self.launched, "associated": self.associated}
        self.__init__(**kept, profile_of=self.profile_of)  # type: ignore[misc]


INSTANCES = InstanceRules()


def _state(self: Instance) -> InstanceState:
    """The state that follows from the last start or stop and the time since."""
    settled, elapsed_s = self._state, RULES.now_s() - getattr(self, "requested_s", 0.0)
    if settled.name == "running" and elapsed_s < INSTANCES.starting_s:
        return InstanceState("pending", 0)
    if getattr(self, "given_up", False) and elapsed_s < INSTANCES.starting_s:
        return InstanceState("pending", 0)
    if settled.name == "stopped" and (INSTANCES.never_stops or elapsed_s < INSTANCES.stopping_s):
        return InstanceState("stopping", 64)
    return settled


def _from(
    begins_in: str, states: set[str], verb: str, original: Callable[[Instance], Any]
) -> Callable[[Instance], Any]:
    """Refuse what EC2 refuses between two states. Source: EC2 API reference, errors: IncorrectInstanceState."""

    def act(self: Instance) -> Any:
        if self.state not in {begins_in, *states}:
            message = f"The instance '{self.id}' is not in a state from which it can be {verb}."
            raise EC2ClientError("IncorrectInstanceState", message)
        begins = self.state == begins_in
        if begins:
            self.requested_s = RULES.now_s()  # type: ignore[attr-defined]
        previous = original(self)
        if begins and begins_in == "stopped":
            _started(self)
        return previous

    return act


def _started(self: Instance) -> None:
    """Let a start run its course: a server whose volumes' keys the caller may not use stops again, after the call.

    Source: EC2 user guide, "Troubleshoot instance launch issues", Client.InternalError; users see it of a start, too.
    """
    self.launch_time = datetime.fromtimestamp(RULES.now_s(), UTC).replace(tzinfo=None)
    self.given_up = not KEYS.may(to_attach(_keys_of(self)))  # type: ignore[attr-defined]
    for listener in [] if self.given_up else INSTANCES.started:  # type: ignore[attr-defined]
        listener(self)
    if self.given_up:  # type: ignore[attr-defined]
        self._state.name, self._state.code, self.state_reason = "stopped", 80, GIVEN_UP


def _keys_of(self: Instance) -> set[str]:
    volumes = (self.ec2_backend.get_volume(mapping.volume_id) for _, mapping in self.get_block_device_mapping)
    return {key for volume in volumes if (key := KEYS.of(volume))}


def _run_instances(original: Callable[[InstanceResponse], ActionResult]) -> Callable[[InstanceResponse], ActionResult]:
    """Launch once for each client token, with a key pair and groups that exist.

    Source: EC2 developer guide, ensuring idempotency: "If you repeat the request with the same client token, the same
    response is returned"; with other parameters IdempotentParameterMismatch; valid for 24 hours after the termination.
    """

    def run(self: InstanceResponse) -> ActionResult:
        token, request = self._get_param("ClientToken"), dict(self.data)
        launches: dict[str, Any] = self.ec2_backend.__dict__.setdefault("launches", {})
        take_profile(self)
        if token not in launches:
            _check_named(self)
            before = set(self.ec2_backend.reservations)
            original(self)
            [reservation] = [r for key, r in list(self.ec2_backend.reservations.items()) if key not in before]
            launches[token] = (request, reservation)
            for instance in reservation.instances:
                instance.requested_s = RULES.now_s()
                instance.launch_time = datetime.fromtimestamp(RULES.now_s(), UTC).replace(tzinfo=None)
                _take_after_image(self.ec2_backend, instance)
                _tag_volumes(self, instance)
                for _, mapping in instance.get_block_device_mapping:
                    give_key(self.ec2_backend, self.ec2_backend.get_volume(mapping.volume_id), "")
                if not KEYS.may(to_attach(_keys_of(instance))):
                    self.ec2_backend.terminate_instances([instance.id])
                    instance.state_reason = GIVEN_UP
                    continue
                for listener in INSTANCES.launched:
                    listener(instance)
        first, reservation = launches[token]
        if first != request:
            raise EC2ClientError("IdempotentParameterMismatch", f"The client token {token} has other parameters")
        return ActionResult(reservation)

    return run


def _check_named(response: InstanceResponse) -> None:
    """Refuse a key pair or a group that does not exist, before a DryRun ends the call. Source: EC2's error codes."""
    backend, key_name = response.ec2_backend, response._get_param("KeyName")
    if key_name and key_name not in backend.key_pairs:
        raise EC2ClientError("InvalidKeyPair.NotFound", f"The key pair '{key_name}' does not exist")
    for group_id in response._get_param("SecurityGroupIds", []):
        if backend.get_security_group_from_id(group_id) is None:
            raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")


def take_profile(response: EC2BaseResponse) -> None:
    """Take an instance profile that IAM has, before a DryRun ends the call; users see this code for any other."""
    named = response._get_param("IamInstanceProfile.Name") or response._get_param("IamInstanceProfile.Arn")
    if not named or INSTANCES.profile_of is None:
        return
    found = INSTANCES.profile_of(named)
    if found is None:
        raise EC2ClientError("InvalidParameterValue", f"Value ({named}) for parameter iamInstanceProfile is invalid")
    known = iam_backends[response.current_account][response.partition]
    if found.name not in {profile.name for profile in known.instance_profiles.values()}:
        known.create_instance_profile(name=found.name, path="/", role_names=[])


def _take_after_image(backend: Any, instance: Any) -> None:
    """Bill a server as its image, and give it the image's root also where the call names other devices only.

    Source: EC2 user guide, AMI billing information: an instance has the billing of the AMI that launched it.
    """
    image = backend.amis[instance.image_id]
    if usage_operation := getattr(image, "usage_operation", None):
        instance.platform, instance.platform_details = "windows", "Windows"
        instance.usage_operation = usage_operation
    if image.root_device_name not in dict(instance.get_block_device_mapping):
        instance.add_block_device(
            *(PUBLIC_ROOT_GIB, image.root_device_name, None),
            encrypted=False,
            delete_on_termination=True,
            kms_key_id=None,
            volume_type="gp3",
        )


def _tag_volumes(response: InstanceResponse, instance: Any) -> None:
    """Tag a launch's volumes, which moto does only for mappings. Source: EC2 API reference, RunInstances."""
    tags = response._parse_tag_specification().get("volume", {})
    for _, mapping in instance.get_block_device_mapping:
        response.ec2_backend.get_volume(mapping.volume_id).add_tags(tags)


def _checks(original: Any) -> property:
    def status(self: Instance) -> dict[str, Any]:
        if self.state == "running" and INSTANCES.never_passes_checks:
            return {"Status": "initializing", "Details": [{"Name": "reachability", "Status": "initializing"}]}
        found: dict[str, Any] = original.fget(self)
        return found

    return property(status)


def install() -> None:
    """Put these rules into moto; calling it again changes nothing."""
    if Instance.instance_state.fget is _state:  # type: ignore[attr-defined]
        return
    Instance.instance_state = property(_state)  # type: ignore[assignment, method-assign]
    Instance.state = property(lambda self: _state(self).name)  # type: ignore[assignment, method-assign]
    Instance.state_code = property(lambda self: _state(self).code)  # type: ignore[assignment, method-assign]
    Instance.start = _from("stopped", {"running", "pending"}, "started", Instance.start)  # type: ignore[method-assign]
    Instance.stop = _from("running", {"stopped", "stopping"}, "stopped", Instance.stop)  # type: ignore[method-assign]
    Instance.instance_status = _checks(Instance.instance_status)  # type: ignore[assignment, method-assign]
    InstanceResponse.run_instances = _run_instances(InstanceResponse.run_instances)  # type: ignore[method-assign]
