"""Which servers an execution of the doctor examines, and what their policies want of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws.bucket import Bucket
from quiesce.aws.doctor.fixes import Fixes
from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.aws.servers import find_candidates
from quiesce.doctor.findings import Level
from quiesce.doctor.state import DoctorRequest, Item, wanted_level
from quiesce.errors import DoctorRefused, PolicyRefused
from quiesce.policy.file import read_policy_file
from quiesce.policy.policy import Policy
from quiesce.policy.selection import Candidate, Selector
from quiesce.policy_run.resolving import GONE, MOST_TARGETS, resolve

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


@dataclass(frozen=True)
class Chosen:
    """The servers to examine, in the order of their ids, and which policies could not be read."""

    items: list[Item]
    unread: list[str]


@dataclass(frozen=True)
class Chooser:
    """Where policies and servers are looked up."""

    ec2: "EC2Client"
    bucket: Bucket
    in_force: PoliciesInForce
    fixes: Fixes

    def choose(self, request: DoctorRequest) -> Chosen:
        """Return the servers to examine.

        Raises:
            DoctorRefused: no server has the tags, there are more than 10,000, or there is no fix of this id.
            PolicyRefused: the policy is not usable.
        """
        if request.instance_id:
            return Chosen([Item(server=request.instance_id)], [])
        if request.undo:
            return Chosen(self._fixed(request.undo), [])
        candidates, unread = find_candidates(self.ec2), list[str]()
        if request.tags:
            items = [Item(server=each.instance_id) for each in _tagged(candidates, request.tags)]
            if not items:
                remedy = "correct it; EC2's tags count upper and lower case"
                raise DoctorRefused("tags", f"no Windows server has {request.words}", remedy)
        else:
            policies, unread = self._policies(request)
            items = _wanting(policies, candidates)
        if len(items) > MOST_TARGETS:
            problem = f"{request.words} means {len(items)} servers, more than {MOST_TARGETS}"
            raise DoctorRefused("tags" if request.tags else "policy", problem, "ask for fewer at once")
        return Chosen(items, unread)

    def _fixed(self, fix_id: str) -> list[Item]:
        items = [Item(server=fix.instance_id) for fix in self.fixes.of(fix_id)]
        if not items:
            remedy = "write the name of the execution that fixed something: its output has it as 'fix'"
            raise DoctorRefused("undo", f"there is no fix {fix_id}", remedy)
        return items

    def _policies(self, request: DoctorRequest) -> tuple[list[Policy], list[str]]:
        if request.policy:
            content, where = self.bucket.read_policy(request.policy)
            return [read_policy_file(content, request.policy, where)], []
        policies, unread = [], []
        for name in self.in_force.names():
            try:
                text = self.in_force.text(name).encode()
                policies.append(read_policy_file(text, name, f"the text of '{name}' in force"))
            except PolicyRefused as error:  # also one that was deleted at this moment
                unread.append(f"policy {name}, whose servers were not examined: {error}")
        return policies, unread


def _tagged(candidates: Iterable[Candidate], tags: dict[str, str]) -> list[Candidate]:
    entry = Selector(tags=tags)
    usable = [each for each in candidates if each.windows and each.state not in GONE]
    return sorted((each for each in usable if entry.means(each, "")), key=lambda each: each.instance_id)


def _wanting(policies: Iterable[Policy], candidates: Sequence[Candidate]) -> list[Item]:
    """Return the servers of all these policies, each once."""
    wants: dict[str, dict[str, Level]] = {}
    for policy in policies:
        for target in resolve(policy, candidates).targets:
            level = wanted_level(policy.settings_of(target.entry))
            wants.setdefault(target.instance_id, {})[policy.name] = level
    return [Item(server=server, wants=each) for server, each in sorted(wants.items())]
