"""The posture that the stack's last look has left in the bucket."""

from pydantic import ValidationError

from quiesce.aws.bucket import Bucket
from quiesce.posture.state import POSTURE_KEY, Posture
from quiesce_cli.troubles import Usage


def read_posture(bucket: Bucket) -> Posture:
    """Return the posture.

    Raises:
        Usage: the stack has not looked yet, or what it left can't be read.
    """
    text = bucket.read_json(POSTURE_KEY)
    if text is None:
        remedy = "wait an hour after the deployment; then see docs/operate/runbook.md, Nobody looks at the posture"
        raise Usage(f"the stack has not looked at its servers yet: {bucket.place(POSTURE_KEY)} does not exist", remedy)
    try:
        return Posture.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        problem = f"{bucket.place(POSTURE_KEY)} can't be read ({where}: {first['msg']})"
        raise Usage(problem, "update this command line to the stack's release") from error
