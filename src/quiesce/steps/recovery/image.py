"""Which image a recovery launches from: the input's, the server's initial AMI, or one that stands in for it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws.images import describe_image, find_images
from quiesce.aws.parameters import read_parameter
from quiesce.errors import RecoveryRefused
from quiesce.points.image import misfits_once_available, needs_of
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.obstacles import choose_image
from quiesce.recovery.substitutes import Substitute, Tried, choose_substitute, parameters_for

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class ImageFinder:
    """What is needed to find an image."""

    ec2: "EC2Client"
    ssm: "SSMClient"
    stack: str

    def find(self, asked: str | None, point: RecoveryPoint) -> Substitute:
        """Return the image to launch from, and what is to be said of it; nothing if it is the one that is expected.

        An initial AMI that does not fit is returned if nothing fits: the plan's obstacles say what is wrong with it.

        Raises:
            RecoveryRefused: the server has no initial AMI, and nothing stands in for it.
        """
        if asked:
            return Substitute(asked, "")
        images = find_images(self.ec2, self.stack, point.instance_id)
        chosen = choose_image(images, point)
        root = next((s.volume.device for s in point.snapshots if s.volume and s.volume.root), "")
        # One that is still pending is there soon: the plan's obstacles say to wait.
        if any(not misfits_once_available(image, needs_of(point.source, root)) for image in images):
            return Substitute(chosen or "", "")
        substitute = choose_substitute(self._tried(point), point)
        missing = "none of the server's initial AMIs fits" if images else "the server has no initial AMI (any more)"
        if substitute.image_id:
            return Substitute(substitute.image_id, f"{missing}: {substitute.said}")
        if chosen:
            return Substitute(chosen, "")
        over = f"; {substitute.said}" if substitute.said else ""
        remedy = "name an image of its Windows and licence in image_id, or back the server up, which makes one"
        raise RecoveryRefused("image_id", missing + over, remedy)

    def _tried(self, point: RecoveryPoint) -> list[Tried]:
        """Return what may stand in: the image that the server was launched from, then AWS's public ones."""
        tried = []
        if point.source and point.source.image_id:
            words = f"the image that the server was once launched from ({point.source.image_id})"
            tried.append(self._looked_at(words, point.source.image_id))
        names = {name: read_parameter(self.ssm, name) for name in parameters_for(point.windows)}
        public = [self._looked_at(f"AWS's public image of that Windows ({n})", i) for n, i in names.items() if i]
        return [*tried, *public]

    def _looked_at(self, words: str, image_id: str) -> Tried:
        return Tried(words, describe_image(self.ec2, image_id))
