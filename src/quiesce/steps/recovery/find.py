"""Which server and which recovery point a request means, by what the stack has of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws.point_looks import find_backed_up, find_instances, find_names, find_snapshots
from quiesce.aws.recoveries import Recoveries
from quiesce.aws.retention.points import Points
from quiesce.errors import RecoveryRefused
from quiesce.points.point import RecoveryPoint
from quiesce.policy.parts import INSTANCE_ID_PATTERN
from quiesce.recovery.choice import Choice, Window, choose, is_final, is_settled, moment_of, only_server
from quiesce.recovery.input import RecoveryRequest
from quiesce.recovery.servers import listed, named

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

# So many runs before and after the time that is asked for are read; where these do not tell, more, and all in the end.
LOOKS = (20, 200, 2_000)


@dataclass(frozen=True)
class Finder:
    """What is needed to find a recovery point."""

    ec2: "EC2Client"
    recoveries: Recoveries
    points: Points
    stack: str

    def find(self, request: RecoveryRequest) -> Choice:
        """Return the recovery point that a request means.

        Raises:
            RecoveryRefused: it means none, or several; the remedy lists what there is.
        """
        instance_id = self._server(request)
        request = request.model_copy(update={"instance_id": instance_id})
        if self.points.has_all_runs(instance_id):
            by_id = self.recoveries.named(instance_id, request.recovery_point) if request.recovery_point else []
            moment = request.moment or moment_of(by_id)
            for count in LOOKS:
                window = self.recoveries.around(instance_id, moment, count)
                if choice := self._settled(request, by_id, window):
                    return choice
        return self._choose(request, self.recoveries.all_points(instance_id).points)

    def _settled(self, request: RecoveryRequest, by_id: Sequence[RecoveryPoint], window: Window) -> Choice | None:
        """Return the choice out of some recovery points, None if others may say something else."""
        points = [*{point.run_id: point for point in (*by_id, *window.points)}.values()]
        try:
            choice = self._choose(request, points)
        except RecoveryRefused as refusal:
            if is_final(refusal, window):
                raise
            return None
        return choice if is_settled(choice, window) else None

    def _choose(self, request: RecoveryRequest, points: Sequence[RecoveryPoint]) -> Choice:
        if not points:
            problem = f"{request.instance_id} has no recovery point in this stack"
            raise RecoveryRefused("instance_id", problem, listed(self._names()))
        ids = (s.snapshot_id for point in points for s in point.snapshots if s.volume)
        return choose(request, points, find_snapshots(self.ec2, ids))

    def _server(self, request: RecoveryRequest) -> str:
        """Return the id of the server that was backed up."""
        if request.instance_id is None:
            run_id = request.recovery_point or ""
            servers = find_instances(self.ec2, self.stack, run_id)
            return only_server(run_id, servers, listed(self._names()) if not servers else "")
        if re.fullmatch(INSTANCE_ID_PATTERN, request.instance_id):
            return request.instance_id
        return named(request.instance_id, self._names(), RecoveryRefused)

    def _names(self) -> dict[str, str]:
        """Return the names of all servers with snapshots; that of one that is gone is its last record's."""
        backed_up = find_backed_up(self.ec2, self.stack)
        live = find_names(self.ec2, backed_up)
        return {server: live[server] if server in live else self._last_name(server) for server in backed_up}

    def _last_name(self, instance_id: str) -> str:
        if known := self.points.name(instance_id):
            return known
        points = [point for point in self.recoveries.all_points(instance_id).points if point.snapshots_at]
        return max(points, key=lambda point: str(point.snapshots_at)).instance_name if points else ""
