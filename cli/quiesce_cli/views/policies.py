"""Policies: what each backs up, or why it is none."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from quiesce_cli.answers.shapes import Policies, PolicyShape, PolicyTarget
from quiesce_cli.views.words import field, indented, mark

NAMED_TARGETS = 5


def lines(policies: Policies) -> Iterator[RenderableType]:
    """Show policies."""
    for place in policies.removed:
        yield Text(f"Removed {place}. The bucket keeps its old versions.")
    if not policies.policies and not policies.removed:
        yield Text.assemble(("There is no policy yet.", "bold"), " Write one, then: quiesce policy put FILE")
    for number, policy in enumerate(policies.policies):
        if number:
            yield Text("")
        yield from _policy(policy)
    for place in policies.put:
        yield Text(f"→ {place}")
    if policies.text and not policies.removed:
        yield Text("")
        yield Text(policies.text.rstrip())


def _policy(policy: PolicyShape) -> Iterator[RenderableType]:
    yield Text.assemble(mark(good=policy.good), " ", (policy.name, "bold"), "  ", (policy.place, "dim"))
    if not policy.good:
        yield indented(Text(policy.problem))
        return
    for target in policy.targets[:NAMED_TARGETS]:
        yield field("server", Text(f"{target.servers}: {_how(target)}"))
    if (more := len(policy.targets) - NAMED_TARGETS) and more > 0:
        yield field("", Text(f"and {more} more"))
    for remark in policy.remarks:
        yield field("remark", Text(remark))


def _how(target: PolicyTarget) -> str:
    asked = [word for word, wanted in (("VSS", target.vss), ("scripts", target.scripts)) if wanted]
    return f"{' and '.join(asked) or 'no application is asked'}, {target.consistency}"
