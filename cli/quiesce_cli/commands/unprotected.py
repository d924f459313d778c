"""``quiesce unprotected``: the servers that nothing backs up."""

from quiesce_cli.answers.unprotected import unprotected as answer
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.aws.posture import read_posture
from quiesce_cli.views import unprotected as view


@command(app, "unprotected")
def unprotected(desk: Desk) -> Answer:
    """List the Windows servers that no policy covers."""
    now = desk.clock.now()
    shape = answer(read_posture(desk.stack.bucket), now)
    return Answer(shape, view.lines(shape, now), good=shape.good)
