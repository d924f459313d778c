"""What IAM's policy simulator says of a server's role: what it lacks, and what can't be told."""

from quiesce.doctor.rights import Decision, Question, Rights, for_agent, for_aws_vss, judged

PROFILE = "arn:aws-cn:iam::123456789012:instance-profile/team/web"
SERVER, VOLUMES = "i-0123456789abcdef0", ["vol-0aaaaaaaaaaaaaaa0", "vol-0aaaaaaaaaaaaaaa1"]
A, B = ("ec2:A", "*"), ("ec2:B", "*")
BOTH = Question((A, B))
YES, NO = Decision(allowed=True), Decision(allowed=False)
IN_DOUBT = Decision(allowed=False, missing=("aws:SourceVpce",))


def test_the_questions_name_the_servers_own_resources_in_its_partition_and_account() -> None:
    taking, tagging = for_aws_vss(PROFILE, "cn-north-1", SERVER, VOLUMES)
    owned = "arn:aws-cn:ec2:cn-north-1:123456789012"
    snapshot = "arn:aws-cn:ec2:cn-north-1::snapshot/*"
    instance, *volumes = f"{owned}:instance/{SERVER}", *(f"{owned}:volume/{each}" for each in VOLUMES)
    created = [resource for action, resource in taking.rights if action == "ec2:CreateSnapshots"]
    assert created == [instance, *volumes, snapshot]
    assert taking.context["ec2:SourceInstanceARN"] == [instance]
    assert (tagging.actions, tagging.resources) == (["ec2:CreateTags"], [snapshot])
    assert "ec2:CreateAction" not in tagging.context, "the right to tag at creation would count for the one after it"


def test_each_action_and_each_resource_is_asked_for_once() -> None:
    question = Question((("a:B", "r1"), ("a:B", "r2"), ("a:C", "r1")))
    assert (question.actions, question.resources) == (["a:B", "a:C"], ["r1", "r2"])
    [agent] = for_agent()
    assert agent.resources == ["*"]


def test_a_role_that_is_allowed_everything_lacks_nothing() -> None:
    assert judged("web", [(BOTH, {A: YES, B: YES})]) == Rights("web")


def test_what_is_denied_without_a_doubt_is_lacking_whatever_else_is_in_doubt() -> None:
    assert judged("web", [(BOTH, {A: NO, B: IN_DOUBT})]) == Rights("web", ("ec2:A",))


def test_what_is_denied_for_want_of_a_condition_key_or_not_answered_is_not_known() -> None:
    why = "IAM's policy simulator can't tell: it denies ec2:B, and was told nothing of aws:SourceVpce"
    assert judged("web", [(BOTH, {A: YES, B: IN_DOUBT})]) == Rights("web", why=why)
    assert judged("web", [(BOTH, {A: YES})]).why == "IAM's policy simulator can't tell: it says nothing of ec2:B"


def test_what_is_allowed_counts_as_allowed_whatever_the_simulator_was_not_told() -> None:
    assert judged("web", [(BOTH, {A: YES, B: Decision(allowed=True, missing=("aws:SourceVpce",))})]) == Rights("web")
