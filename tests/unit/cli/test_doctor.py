"""``quiesce doctor``: what it says of a finding that it could mend, has mended, or leaves to a person."""

from quiesce_cli.answers.shapes import Check, Health
from quiesce_cli.commands.doctor import Finding, _mend
from quiesce_cli.troubles import missing_right
from quiesce_cli.views import health as view

from quiesce.errors import AccessDenied
from tests.unit.cli.test_views import NARROW, printed

CHECK = Check(name="mails", good=False, words="x gets nothing", remedy="follow the link", fix="Send x a new link")


def shown(*checks: Check, fixing: bool = False) -> str:
    return printed(view.lines(Health(good=False, checks=list(checks)), fixing=fixing), NARROW)


def test_what_can_be_mended_is_said_with_the_command_and_what_was_mended_with_what_is_left() -> None:
    assert "→ quiesce doctor --fix: Send x a new link" in " ".join(shown(CHECK).split())
    done = shown(_mend(Finding(CHECK, lambda: None), asks=False), fixing=True)
    assert "✓ done: Send x a new link" in done
    assert "→ follow the link" in done
    assert "--fix" not in done


def test_a_right_that_is_missing_for_it_is_the_remedy_and_nothing_is_called_done() -> None:
    def denied() -> None:
        raise AccessDenied("sns:Subscribe: no")

    check = _mend(Finding(CHECK, denied), asks=False)
    assert (check.fixed, check.good) == (False, False)
    assert (
        check.remedy == "it could not be mended: you may not sns:Subscribe; have it done by whoever deploys the stack"
    )


def test_a_person_who_asked_for_it_hears_that_nothing_can_be_mended() -> None:
    other = CHECK.model_copy(update={"fix": ""})
    assert "Nothing of this can be mended from here." in shown(other, fixing=True)
    assert "Nothing of this" not in shown(other)
    assert "Nothing of this" not in shown(other, CHECK, fixing=True)


def test_who_gets_mails_is_no_right_of_an_operator() -> None:
    assert "whoever deploys the stack" in missing_right("sns:Subscribe").remedy
    assert "OperatorPolicyArn" in missing_right("s3:PutObject").remedy
