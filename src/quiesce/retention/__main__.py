"""Show which recovery points a rule would keep, out of records downloaded from the bucket; nothing is deleted.

python -m quiesce.retention RULE.yaml RECORD.json [RECORD.json ...]
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from quiesce.clock import Clock
from quiesce.errors import PolicyRefused
from quiesce.points.parts import Consistency
from quiesce.points.point import PointPart, PointSnapshot
from quiesce.points.record import Status
from quiesce.policy.file import load_yaml
from quiesce.policy.keep import Retention
from quiesce.retention.decision import Point
from quiesce.retention.listing import describe
from quiesce.retention.plan import Group, make_plan
from quiesce.validation import Advice, validated

DESCRIPTION = "Show which recovery points a rule would keep, out of records from the bucket. Nothing is deleted."
ADVICE = Advice(name="rule", home=Retention, missing="add it", otherwise="correct it")


class _Ended(PointPart):
    """What retention needs of a record."""

    run_id: str
    status: Status
    consistency: Consistency
    policy: str
    instance_id: str
    snapshots_at: datetime | None
    ended_at: datetime
    snapshots: list[PointSnapshot]


def main(arguments: Sequence[str], now: datetime) -> int:
    """Print a plan for each server and policy of the records.

    Returns:
        0 if all records were read and no plan needs a person's word, 1 if one does; the parser exits with 2 after wrong
        arguments, a rule that can't be used, or a file that is no record.
    """
    parser = argparse.ArgumentParser(prog="python -m quiesce.retention", description=DESCRIPTION)
    parser.add_argument("rule", metavar="RULE", type=Path, help="YAML with 'keep' and what belongs to it")
    parser.add_argument(
        "records", metavar="RECORD", type=Path, nargs="+", help="records of runs, as the bucket has them"
    )
    asked = parser.parse_args(arguments)
    groups: dict[Group, list[Point]] = {}
    try:
        rule = _read_rule(asked.rule)
        for path in asked.records:
            ended = _Ended.model_validate_json(path.read_bytes())
            if ended.snapshots_at is not None and ended.snapshots:
                groups.setdefault(Group(ended.instance_id, ended.policy), []).append(_point(ended, ended.snapshots_at))
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}; give files that are here")
    except ValidationError as error:
        parser.error(
            f"{path}: is no record of a run ({error.errors()[0]['msg']}); download it from records/ of the bucket"
        )
    except PolicyRefused as error:
        parser.error(str(error))
    plans = [make_plan(group, points, rule, now) for group, points in groups.items()]
    sys.stdout.write("\n".join(describe(plan, rule) for plan in plans) or "These runs left no snapshots.\n")
    return 1 if any(plan.problem for plan in plans) else 0


def _read_rule(path: Path) -> Retention:
    data = load_yaml(path.read_bytes(), str(path))
    return validated(Retention, data, str(path), ADVICE, PolicyRefused)


def _point(ended: _Ended, at: datetime) -> Point:
    return Point(ended.run_id, at, ended.ended_at, ended.status, ended.consistency.level == "application")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Clock().now()))
