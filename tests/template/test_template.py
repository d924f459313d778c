"""The template's promises: what it keeps and encrypts, the schedule, the alarms, and the functions' settings."""

import re
import tomllib
from dataclasses import fields

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.tokens import AliasToken, AnchorToken

import quiesce.errors
from quiesce.aws.snapshot_blocks import RESERVE_MS
from quiesce.executions import ENDINGS
from quiesce.guest import patience
from quiesce.policy.parts import INSTANCE_ID_PATTERN, NAME_PATTERN, Vss
from quiesce.policy.target import TargetSettings
from quiesce.settings import Settings
from tests.support.environment import ENVIRONMENT
from tests.support.project import ROOT, definition, resources, step_of, template

RESOURCES = template()["Resources"]
PARAMETERS = template()["Parameters"]
FUNCTIONS = resources("AWS::Serverless::Function")
MACHINES = resources("AWS::Serverless::StateMachine").values()


def schedule():
    return RESOURCES["BackupMachine"]["Properties"]["Events"]["Schedule"]


@pytest.mark.parametrize("file", ["template.yaml", *(machine["Properties"]["DefinitionUri"] for machine in MACHINES)])
def test_no_file_has_anchors_or_aliases_which_cloudformation_refuses(file):
    """Local tools take them: aws-cloudformation/cfn-language-discussion, issue 49."""
    tokens = YAML(pure=True).scan((ROOT / file).read_text())
    assert [token for token in tokens if isinstance(token, AnchorToken | AliasToken)] == []


@pytest.mark.parametrize("name", ["Table", "Bucket", "BucketPolicy"])
def test_what_holds_records_is_kept_when_the_stack_goes(name):
    assert (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_table_is_encrypted_and_can_be_restored():
    properties = RESOURCES["Table"]["Properties"]
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_the_bucket_is_encrypted_versioned_and_private():
    properties = RESOURCES["Bucket"]["Properties"]
    [rule] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in ("AES256", "aws:kms")
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4


def test_the_bucket_refuses_plain_http():
    [statement] = RESOURCES["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:*", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [{"Fn::GetAtt": "Bucket.Arn"}, {"Fn::Sub": "${Bucket.Arn}/*"}]


def test_logs_are_kept_for_a_number_of_days():
    assert template()["Globals"]["Function"]["LoggingConfig"]["LogGroup"] == {"Ref": "Log"}
    for name, group in resources("AWS::Logs::LogGroup").items():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name
    assert all("LoggingConfig" not in function["Properties"] for function in FUNCTIONS.values())


def test_every_function_gets_every_setting():
    given = template()["Globals"]["Function"]["Environment"]["Variables"]
    assert {field.name.upper() for field in fields(Settings)} <= given.keys()
    assert given["STACK_NAME"] == {"Ref": "AWS::StackName"}
    assert all("Environment" not in function["Properties"] for function in FUNCTIONS.values())


def test_the_tests_run_in_the_environment_that_the_template_sets():
    given = template()["Globals"]["Function"]["Environment"]["Variables"]
    assert given.keys() == {name for name in ENVIRONMENT if not name.startswith(("AWS_", "MOTO_"))}


def test_every_function_is_one_folder_and_needs_no_build():
    for name, function in FUNCTIONS.items():
        assert function["Metadata"] == {"SkipBuild": True}, name
        assert function["Properties"]["Description"], name
        folder = ROOT / function["Properties"]["CodeUri"]
        assert {path.name for path in folder.iterdir() if path.name != "__pycache__"} == {"app.py"}
        assert name == "".join(map(str.capitalize, step_of(name).split("_"))) + "Function"


def test_a_schedule_is_named_by_cloudformation_and_off_without_an_expression():
    assert schedule()["Type"] == "ScheduleV2"
    properties = schedule()["Properties"]
    assert properties["OmitName"] is True
    assert "Name" not in properties
    assert properties["State"] == {"Fn::If": ["HasSchedule", "ENABLED", "DISABLED"]}


def test_a_schedule_has_a_time_zone_an_hour_and_a_place_for_what_it_gave_up():
    properties = schedule()["Properties"]
    assert properties["ScheduleExpressionTimezone"] == {"Ref": "ScheduleTimezone"}
    assert properties["RetryPolicy"]["MaximumEventAgeInSeconds"] == 3600
    assert properties["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": "MissedSchedules.Arn"}}


def test_who_must_know_is_told_of_missed_schedules_and_of_runs_without_a_report():
    alarms = {name: alarm["Properties"] for name, alarm in resources("AWS::CloudWatch::Alarm").items()}
    assert all(alarm["AlarmActions"] == [{"Ref": "Topic"}] for alarm in alarms.values())
    watched = {name: (alarm["MetricName"], alarm["Dimensions"][0]["Value"]) for name, alarm in alarms.items()}
    assert watched == {
        "MissedScheduleAlarm": ("ApproximateNumberOfMessagesVisible", {"Fn::GetAtt": "MissedSchedules.QueueName"}),
        "ReportAlarm": ("Errors", {"Ref": "ReportFunction"}),
        "SweepAlarm": ("Errors", {"Ref": "SweepFunction"}),
        "AutoThawedAlarm": ("AutoThawed", "quiesce"),
        "StoppedRunAlarm": ("ExecutionsAborted", {"Ref": "BackupMachine"}),
        "TimedOutRunAlarm": ("ExecutionsTimedOut", {"Ref": "BackupMachine"}),
        "StoppedRecoveryAlarm": ("ExecutionsAborted", {"Ref": "RecoverMachine"}),
        "TimedOutRecoveryAlarm": ("ExecutionsTimedOut", {"Ref": "RecoverMachine"}),
    }


def test_all_alarms_go_on_with_the_first_event_and_off_without_one():
    alarms = resources("AWS::CloudWatch::Alarm").values()
    of_its_own = {"AlarmDescription", "Namespace", "MetricName", "Dimensions", "Statistic"}
    assert [{n: v for n, v in a["Properties"].items() if n not in of_its_own} for a in alarms] == [
        {
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": 0,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [{"Ref": "Topic"}],
        }
    ] * len(alarms)


def test_the_template_is_short_enough_to_read():
    """Where new resources go once it is not: docs/decisions/0012-said-once.md."""
    assert len((ROOT / "template.yaml").read_text().splitlines()) <= 750


@pytest.mark.parametrize(
    ("function", "machine"), [("SweepFunction", "BackupMachine"), ("RecoverFunction", "RecoverMachine")]
)
def test_who_sweeps_is_started_by_every_end_that_may_leave_something_untold(function, machine):
    [rule] = FUNCTIONS[function]["Properties"]["Events"].values()
    assert rule["Type"] == "EventBridgeRule"
    pattern = rule["Properties"]["Pattern"]
    assert pattern["source"] == ["aws.states"]
    assert pattern["detail-type"] == ["Step Functions Execution Status Change"]
    assert pattern["detail"]["stateMachineArn"] == [{"Ref": machine}]
    assert set(pattern["detail"]["status"]) == set(ENDINGS)


def test_verify_has_twice_as_much_time_to_read_as_it_keeps_to_tell():
    assert FUNCTIONS["VerifyFunction"]["Properties"]["Timeout"] * 1000 >= 3 * RESERVE_MS


def test_a_function_has_time_for_its_longest_waits():
    """For the longest scripts that a policy may have; the rest of the time is for calls that AWS answers at once."""
    limits = longest_limits()
    waits = {
        "PlanFunction": patience.INVENTORY_PATIENCE.limit_s + patience.STAGE_PATIENCE.limit_s,
        "FreezeFunction": patience.freeze_wait(limits)[1].limit_s,
        "ThawFunction": patience.thaw_wait(limits)[1].limit_s,
        "CompleteFunction": patience.complete_wait(limits)[1].limit_s,
        "ReportFunction": patience.COLLECT_PATIENCE.limit_s,
        "SweepFunction": patience.sweep_wait(limits)[1].limit_s + patience.COLLECT_PATIENCE.limit_s + 30,
    }
    for function, wait_s in waits.items():
        assert wait_s + 20 <= FUNCTIONS[function]["Properties"]["Timeout"], function


def longest_limits():
    """Return the longest limits of a session with VSS: the policy refuses a second more."""
    scripts = {"from": "bucket", "before_limit_s": 100, "after_limit_s": 100, "complete_limit_s": 240}
    assert TargetSettings(scripts=scripts, vss=Vss(create_limit_s=101)).contradiction().field == "vss.create_limit_s"
    settings = TargetSettings(scripts=scripts, vss=Vss(create_limit_s=100))
    assert settings.contradiction() is None
    return settings.limits


def test_the_guests_document_is_included_from_its_own_file_and_new_versions_take_effect():
    document = RESOURCES["GuestDocument"]
    assert document["Type"] == "AWS::SSM::Document"
    include = document["Properties"]["Content"]["Fn::Transform"]
    assert include == {"Name": "AWS::Include", "Parameters": {"Location": "guest/document.yaml"}}
    assert (ROOT / "guest/document.yaml").exists()
    assert document["Properties"]["UpdateMethod"] == "NewVersion"


def test_the_runbook_says_of_every_step_of_a_recovery_what_to_do_where_it_fails():
    chapter = (ROOT / "docs/operate/runbook.md").read_text().partition("\n## A recovery failed\n")[2]
    steps = [name for name, state in definition("RecoverMachine")["States"].items() if state["Type"] == "Task"]
    assert re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE) == steps


def test_the_runbook_has_a_chapter_for_every_alarm_and_a_line_for_every_word():
    runbook = (ROOT / "docs/operate/runbook.md").read_text()
    for name, alarm in resources("AWS::CloudWatch::Alarm").items():
        chapter = re.search(r"See docs/operate/runbook.md, (.+)\.$", alarm["Properties"]["AlarmDescription"])
        assert chapter, name
        assert f"\n## {chapter[1]}\n" in runbook, name
        assert f"*{name}*" in runbook, name
    guest_errors = set(re.findall(r"throw ['\"](\w+)", (ROOT / "guest/quiesce.ps1").read_text())) | {"LanguageMode"}
    guest_errors -= {"exit"}  # a program's exit code: it goes to stderr, never into an answer
    errors = {name for name, kind in vars(quiesce.errors).items() if isinstance(kind, type)} - {
        "QuiesceError",
        "Refused",
    }
    errors -= {"ClassVar"}
    for word in guest_errors | errors | {word for word, _ in ENDINGS.values()}:
        assert f"`{word}`" in runbook, word


def test_what_the_schedule_sends_is_an_input_that_plan_reads():
    import json

    from quiesce.backup.input import read_request

    text = schedule()["Properties"]["Input"]["Fn::Sub"]
    filled = text.replace("${SchedulePolicy}", "files-nightly").replace("${ScheduleInstanceId}", "i-0123456789abcdef0")
    request = read_request(json.loads(filled.replace("<aws.scheduler.scheduled-time>", "2026-11-24T01:30:00Z")))
    assert (request.policy, request.instance_id) == ("files-nightly", "i-0123456789abcdef0")
    assert request.scheduled_time == "2026-11-24T01:30:00Z"


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_is_explained_and_bounded(name):
    parameter = PARAMETERS[name]
    assert len(parameter["Description"]) > 20
    assert "Default" in parameter
    bound = parameter.get("AllowedValues") or parameter.get("AllowedPattern")
    assert bound
    if "AllowedPattern" in parameter:
        assert re.search(parameter["AllowedPattern"], str(parameter["Default"]))
    else:
        assert parameter["Default"] in bound


def test_the_schedules_parameters_take_what_plan_takes():
    assert PARAMETERS["SchedulePolicy"]["AllowedPattern"] == f"^$|^{NAME_PATTERN}$"
    id_pattern = re.compile(PARAMETERS["ScheduleInstanceId"]["AllowedPattern"])
    for value in ("i-0123456789abcdef0", "i-01234567", "i-0123456789abcdef", "i-XYZ", "i-0123456789abcdef01"):
        assert bool(id_pattern.search(value)) == bool(re.fullmatch(INSTANCE_ID_PATTERN, value)), value


def test_a_schedule_needs_its_policy_and_server():
    asserted = str(template()["Rules"]["ScheduleIsWhole"]["Assertions"])
    assert "'Ref': 'SchedulePolicy'" in asserted
    assert "'Ref': 'ScheduleInstanceId'" in asserted


def test_every_output_says_what_it_is_for():
    assert all(output["Description"] for output in template()["Outputs"].values())


def test_sam_deploys_without_flags():
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]
    assert config["global"]["parameters"]["stack_name"]
    deploy = config["deploy"]["parameters"]
    assert deploy["resolve_s3"] is True
    assert deploy["capabilities"] == "CAPABILITY_IAM"
    assert deploy["confirm_changeset"] is False


def test_the_layer_is_built_for_the_templates_defaults():
    text = (ROOT / "src/Makefile").read_text()
    defaults = dict(re.findall(r"^QUIESCE_(\w+) \?= (\S+)$", text, re.MULTILINE))
    assert defaults == {name.upper(): PARAMETERS[name]["Default"] for name in ("Runtime", "Architecture")}
    layer = RESOURCES["SharedLayer"]["Properties"]
    assert layer["CompatibleRuntimes"] == [{"Ref": "Runtime"}]
    assert layer["CompatibleArchitectures"] == [{"Ref": "Architecture"}]


def test_the_layers_requirements_are_those_of_the_lock():
    """Versions and hashes of pyproject.toml's dependencies, and of all that these depend on."""
    packages = {p["name"]: p for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    needed, todo = {}, [d["name"] for d in packages["quiesce"]["dependencies"]]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed[name] = packages[name]
            todo += [d["name"] for d in packages[name].get("dependencies", []) if "marker" not in d]
    text = (ROOT / "src/requirements.txt").read_text()
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
    assert pinned == {name: package["version"] for name, package in needed.items()}
    files = [file for package in needed.values() for file in [package["sdist"], *package["wheels"]]]
    assert set(re.findall(r"--hash=(\S+)", text)) == {file["hash"] for file in files}


def test_boto3_comes_from_lambda_and_not_from_the_layer():
    assert "boto" not in (ROOT / "src/requirements.txt").read_text()
