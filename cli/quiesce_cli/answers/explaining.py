"""Why a run is not Successful or not application-consistent, as ``quiesce explain`` answers. Pure."""

from dataclasses import asdict

from quiesce.points.record import Record
from quiesce.report.explaining import causes_of, is_best
from quiesce_cli.answers.shapes import Explained, Why


def explain(record: Record) -> Explained:
    """Return why a run is not better than it is; no cause if it is as good as can be."""
    return Explained(
        run_id=record.run_id,
        good=is_best(record) or record.status == "Skipped",
        status=record.status,
        consistency=record.consistency.level,
        reason=record.consistency.reason,
        causes=[Why(**asdict(cause)) for cause in causes_of(record)],
    )
