"""Instances as on EC2, where moto differs: start and stop take time, with refusals meanwhile; one launch per token.

`install` changes moto for the whole process, as that of `snapshots` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, InstanceState
from moto.ec2.responses.instances import InstanceResponse

from sandbox.aws.snapshots import RULES


@dataclass
class InstanceRules:
    """The knobs of simulated instances; without them everything happens at once."""

    starting_s: float = 0.0
    stopping_s: float = 0.0
    never_stops: bool = False
    never_passes_checks: bool = False
    started: list[Callable[[Any], None]] = field(default_factory=list)
    """Called with each stopped instance that is started."""

    def reset(self) -> None:
        """Restore the defaults, but keep the listeners."""
        self.__init__(started=self.started)  # type: ignore[misc]


INSTANCES = InstanceRules()


def _state(self: Instance) -> InstanceState:
    """The state that follows from the last start or stop and the time since."""
    settled, elapsed_s = self._state, RULES.now_s() - getattr(self, "requested_s", 0.0)
    if settled.name == "running" and elapsed_s < INSTANCES.starting_s:
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
        for listener in INSTANCES.started if begins and begins_in == "stopped" else []:
            listener(self)
        return previous

    return act


def _run_instances(original: Callable[[InstanceResponse], ActionResult]) -> Callable[[InstanceResponse], ActionResult]:
    """Launch once for each client token.

    Source: EC2 developer guide, ensuring idempotency: "If you repeat the request with the same client token, the same
    response is returned"; with other parameters IdempotentParameterMismatch; valid for 24 hours after the termination.
    """

    def run(self: InstanceResponse) -> ActionResult:
        token, request = self._get_param("ClientToken"), dict(self.data)
        launches: dict[str, Any] = self.ec2_backend.__dict__.setdefault("launches", {})
        if token not in launches:
            before = set(self.ec2_backend.reservations)
            original(self)
            [reservation] = [r for key, r in self.ec2_backend.reservations.items() if key not in before]
            launches[token] = (request, reservation)
            for instance in reservation.instances:
                instance.requested_s = RULES.now_s()
                _tag_volumes(self, instance)
        first, reservation = launches[token]
        if first != request:
            raise EC2ClientError("IdempotentParameterMismatch", f"The client token {token} has other parameters")
        return ActionResult(reservation)

    return run


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
