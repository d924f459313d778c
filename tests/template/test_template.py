"""The template's promises: what it keeps and encrypts, the schedule, the alarms, and the functions' settings."""

import json
import re
import tomllib
from dataclasses import fields
from datetime import UTC, datetime

import pytest
from botocore.session import Session
from ruamel.yaml import YAML
from ruamel.yaml.tokens import AliasToken, AnchorToken

import quiesce.errors
from guest.document import guest_text
from quiesce.aws.bucket import LINK_S
from quiesce.aws.posture.watch import SENT_WITHIN
from quiesce.aws.snapshot_blocks import RESERVE_MS
from quiesce.executions import ENDINGS
from quiesce.guest import patience
from quiesce.policy.target import TargetSettings
from quiesce.policy.vss import Vss
from quiesce.settings import DoctorSettings, FreezeSettings, MendSettings, ScheduleSettings, Settings
from quiesce.telemetry import count_run, measure
from tests.support.environment import ENVIRONMENT
from tests.support.project import ROOT, definition, includes, resources, step_of, template
from tests.template.permissions import statements
from tools import release

RESOURCES = template()["Resources"]
PARAMETERS = template()["Parameters"]
FUNCTIONS = resources("AWS::Serverless::Function")
MACHINES = resources("AWS::Serverless::StateMachine").values()


def of(settings):
    """Return the variables that these settings have beside those of every function."""
    return {field.name.upper() for field in fields(settings)} - {field.name.upper() for field in fields(Settings)}


OF_SCHEDULES, OF_DOCTOR, OF_MENDING = of(ScheduleSettings), of(DoctorSettings), of(MendSettings)
OF_FREEZE = of(FreezeSettings)


@pytest.mark.parametrize(
    "file", ["template.yaml", *includes(), *(machine["Properties"]["DefinitionUri"] for machine in MACHINES)]
)
def test_no_file_has_anchors_or_aliases_which_cloudformation_refuses(file):
    """Local tools take them: aws-cloudformation/cfn-language-discussion, issue 49."""
    tokens = YAML(pure=True).scan((ROOT / file).read_text())
    assert [token for token in tokens if isinstance(token, AnchorToken | AliasToken)] == []


@pytest.mark.parametrize("name", ["Table", "Bucket", "BucketPolicy"])
def test_what_holds_records_is_kept_when_the_stack_goes(name):
    assert (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_table_is_encrypted_and_can_be_restored():
    properties = RESOURCES["Table"]["Properties"]
    assert properties["SSESpecification"]["Fn::If"][2] == {"SSEEnabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_the_bucket_is_encrypted_versioned_and_private():
    properties = RESOURCES["Bucket"]["Properties"]
    [rule] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    _, *ways = rule["ServerSideEncryptionByDefault"]["Fn::If"]
    assert [way["SSEAlgorithm"] for way in ways] == ["aws:kms", "AES256"]
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


def test_lambda_knows_every_log_level_that_a_stack_may_have():
    logging = template()["Globals"]["Function"]["LoggingConfig"]
    assert logging["LogFormat"] == "JSON"  # of text, Lambda takes no level
    assert logging["ApplicationLogLevel"] == {"Fn::FindInMap": ["LogLevels", "OfLambda", {"Ref": "LogLevel"}]}
    levels = template()["Mappings"]["LogLevels"]["OfLambda"]
    assert list(levels) == PARAMETERS["LogLevel"]["AllowedValues"]
    assert levels["WARNING"] == "WARN"
    assert set(levels.values()) <= set(Session().get_service_model("lambda").shape_for("ApplicationLogLevel").enum)
    # Lambda's level takes precedence over Powertools' own variable, which only warns that the two differ.
    assert "POWERTOOLS_LOG_LEVEL" not in template()["Globals"]["Function"]["Environment"]["Variables"]


def test_every_function_gets_every_setting():
    given = template()["Globals"]["Function"]["Environment"]["Variables"]
    assert {field.name.upper() for field in fields(Settings)} <= given.keys()
    assert given["STACK_NAME"] == {"Ref": "AWS::StackName"}
    own = {name: function["Properties"].get("Environment") for name, function in FUNCTIONS.items()}
    given_too = {name: environment["Variables"].keys() for name, environment in own.items() if environment}
    assert given_too == {
        "FreezeFunction": OF_FREEZE,
        "ScheduleFunction": OF_SCHEDULES,
        "DoctorFunction": OF_DOCTOR,
        "MendFunction": OF_MENDING,
    }


def test_freeze_can_warm_up_every_function_that_runs_while_an_application_is_held():
    states = definition()["States"]
    held = {"Thaw"} | {each["Next"] for each in states["Frozen?"]["Choices"]} - {"Retry"}
    freeze = FUNCTIONS["FreezeFunction"]["Properties"]
    named = freeze["Environment"]["Variables"].values()
    assert {each["Ref"] for each in named} == {f"{state}Function" for state in held}
    [allowed] = [each["Resource"] for each in statements("FreezeFunction") if each["Sid"] == "WarmUpFunctions"]
    assert {each["Fn::GetAtt"] for each in allowed} == {f"{state}Function.Arn" for state in held}


def test_the_tests_run_in_the_environment_that_the_template_sets():
    given = template()["Globals"]["Function"]["Environment"]["Variables"]
    ours = {name for name in ENVIRONMENT if not name.startswith(("AWS_", "MOTO_"))}
    assert given.keys() | OF_FREEZE | OF_SCHEDULES | OF_MENDING == ours


def test_every_function_is_one_folder_and_needs_no_build():
    for name, function in FUNCTIONS.items():
        assert function["Metadata"]["SkipBuild"] is True, name
        assert function["Properties"]["Description"], name
        folder = ROOT / function["Properties"]["CodeUri"]
        assert {path.name for path in folder.iterdir() if path.name != "__pycache__"} == {"app.py"}
        assert name == "".join(map(str.capitalize, step_of(name).split("_"))) + "Function"


def test_what_a_scanner_finds_and_is_not_mended_has_its_reason_beside_the_resource():
    """``make scan`` finds what is neither; these two it finds in every function."""
    config = YAML(typ="safe", pure=True).load((ROOT / "tools/checkov/config.yaml").read_text())
    assert config.keys() == {"framework", "skip-download", "compact", "quiet"}
    skipped = {name: r["Metadata"]["checkov"]["skip"] for name, r in RESOURCES.items() if "checkov" in str(r)}
    for name, skips in skipped.items():
        assert all(each.keys() == {"id", "comment"} and len(each["comment"]) > 20 for each in skips), name
    # Concurrency of its own; a queue for what events could not start.
    of_functions = ("CKV_AWS_115", "CKV_AWS_116")
    found = {name: tuple(each["id"] for each in skipped.get(name, ())) for name in FUNCTIONS}
    assert found == dict.fromkeys(FUNCTIONS, of_functions)


def test_the_function_that_keeps_schedules_looks_at_each_file_that_changes_and_at_all_each_day_from_the_deployment_on():
    file_changed, daily = RESOURCES["ScheduleFunction"]["Properties"]["Events"].values()
    pattern = file_changed["Properties"]["Pattern"]
    assert pattern["detail-type"] == ["Object Created", "Object Deleted"]
    assert pattern["detail"] == {"bucket": {"name": [{"Ref": "Bucket"}]}, "object": {"key": [{"prefix": "policies/"}]}}
    told = RESOURCES["Bucket"]["Properties"]["NotificationConfiguration"]
    assert told == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    properties = daily["Properties"]
    # Without a start, Scheduler calls its target as soon as it is made.
    assert (daily["Type"], properties["ScheduleExpression"]) == ("ScheduleV2", "rate(1 day)")
    assert properties.keys() & {"StartDate", "State", "Name"} == set()
    assert properties["OmitName"] is True


def test_who_must_know_is_told_of_missed_schedules_and_of_runs_without_a_report():
    alarms = {name: alarm["Properties"] for name, alarm in resources("AWS::CloudWatch::Alarm").items()}
    assert all(alarm["AlarmActions"] == [{"Ref": "Topic"}] for alarm in alarms.values())
    watched = {name: (alarm["MetricName"], alarm["Dimensions"][-1]["Value"]) for name, alarm in alarms.items()}
    assert watched == {
        # Not those that wait: a message stays for 14 days, and an alarm that is on tells of no second one.
        "MissedScheduleAlarm": ("NumberOfMessagesSent", {"Fn::GetAtt": ["MissedSchedules", "QueueName"]}),
        "ReportAlarm": ("Errors", {"Ref": "ReportFunction"}),
        "SweepAlarm": ("Errors", {"Ref": "SweepFunction"}),
        "ScheduleAlarm": ("Errors", {"Ref": "ScheduleFunction"}),
        "AutoThawedAlarm": ("AutoThawed", {"Ref": "AWS::StackName"}),
        "StoppedRunAlarm": ("ExecutionsAborted", {"Ref": "BackupMachine"}),
        "TimedOutRunAlarm": ("ExecutionsTimedOut", {"Ref": "BackupMachine"}),
        "StoppedRecoveryAlarm": ("ExecutionsAborted", {"Ref": "RecoverMachine"}),
        "TimedOutRecoveryAlarm": ("ExecutionsTimedOut", {"Ref": "RecoverMachine"}),
        "StoppedRevertAlarm": ("ExecutionsAborted", {"Ref": "RevertMachine"}),
        "TimedOutRevertAlarm": ("ExecutionsTimedOut", {"Ref": "RevertMachine"}),
        "RetentionSilentAlarm": ("ExecutionsSucceeded", {"Ref": "RetentionMachine"}),
        "PostureSilentAlarm": ("PostureLooks", {"Ref": "AWS::StackName"}),
    }


def test_an_alarm_watches_its_own_stack_alone():
    """A name that CloudFormation makes is in one stack alone, and so is what a stack counts under its name."""
    for name, alarm in resources("AWS::CloudWatch::Alarm").items():
        assert "AlarmName" not in alarm["Properties"], name
        values = [dimension["Value"] for dimension in alarm["Properties"]["Dimensions"]]
        assert any(isinstance(value, dict) for value in values), name


def test_the_runs_that_thawed_by_themselves_are_counted_where_the_alarm_looks(capsys):
    count_run("Successful", stack="quiesce-test", ended_at=datetime.now(UTC), auto_thawed=True)
    counted = json.loads(capsys.readouterr().out)
    [metrics] = counted["_aws"]["CloudWatchMetrics"]
    alarm = RESOURCES["AutoThawedAlarm"]["Properties"]
    looked = {d["Name"]: "quiesce-test" if isinstance(d["Value"], dict) else d["Value"] for d in alarm["Dimensions"]}
    assert [{name: counted[name] for name in names} for names in metrics["Dimensions"]] == [looked]
    assert metrics["Namespace"] == alarm["Namespace"]
    assert alarm["MetricName"] in [metric["Name"] for metric in metrics["Metrics"]]


def test_the_alarm_of_a_silent_retention_takes_missing_data_for_a_breach_and_waits_longer_than_a_day():
    """It works where Scheduler, the machine, the function or the table stops: none of them can switch it off."""
    alarm = resources("AWS::CloudWatch::Alarm")["RetentionSilentAlarm"]["Properties"]
    assert (alarm["TreatMissingData"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "breaching",
        "LessThanThreshold",
        1,
    )
    daily = RESOURCES["RetentionMachine"]["Properties"]["Events"]["Daily"]["Properties"]
    assert daily["ScheduleExpression"] == "rate(1 day)"
    # CloudWatch API reference, PutMetricAlarm: periods of an hour or more may reach back seven days.
    assert 86_400 + 3600 < alarm["Period"] * alarm["EvaluationPeriods"] <= 7 * 86_400
    assert alarm["Period"] >= 3600


def test_the_alarm_of_missing_looks_takes_missing_data_for_a_breach_and_forgives_two_looks():
    """The looks have a schedule of their own, and count where the alarm looks."""
    alarm = resources("AWS::CloudWatch::Alarm")["PostureSilentAlarm"]["Properties"]
    assert (alarm["TreatMissingData"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "breaching",
        "LessThanThreshold",
        1,
    )
    hourly, weekly = (e["Properties"] for e in FUNCTIONS["PostureFunction"]["Properties"]["Events"].values())
    assert (hourly["ScheduleExpression"], weekly["ScheduleExpression"]) == ("rate(1 hour)", "rate(7 days)")
    assert json.loads(weekly["Input"]) == {"list": "unclaimed"}
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 3 * 3600
    timeout_s = FUNCTIONS["PostureFunction"]["Properties"]["Timeout"]
    assert timeout_s < SENT_WITHIN.total_seconds()


def test_the_dashboard_shows_what_the_functions_measure_and_nothing_else(capsys):
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown = json.loads(body.replace("${AWS::StackName}", "quiesce-test").replace("${AWS::Region}", "eu-central-1"))
    of_policies = set(re.findall(r'MetricName=\\"(\w+)\\"', body))
    assert of_policies == {"AgeOfNewestGoodPoint", "RecoveryPoints", "FreezeMilliseconds", "Attempts"}
    measure(dict.fromkeys(of_policies, 1.0), stack="quiesce-test", at=datetime.now(UTC), policy="nightly")
    counted = json.loads(capsys.readouterr().out)
    [names] = counted["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    searches = [m["expression"] for w in shown["widgets"] for m in w["properties"]["metrics"][0] if isinstance(m, dict)]
    assert len(searches) == len(of_policies)
    assert all(search.startswith(f"SEARCH('{{Quiesce,{','.join(sorted(names))}}} ") for search in searches)
    assert all('stack="quiesce-test"' in search for search in searches)


def test_all_other_alarms_go_on_with_the_first_event_and_off_without_one():
    """All their metrics have no data while nothing happens, so missing data is no breach in any."""
    every = resources("AWS::CloudWatch::Alarm").items()
    alarms = [alarm for name, alarm in every if name not in ("RetentionSilentAlarm", "PostureSilentAlarm")]
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


@pytest.mark.parametrize("file", ["template.yaml", "resources.yaml", "outputs.yaml"])
def test_the_template_is_short_enough_to_read(file):
    """Where new resources go once it is not: docs/decisions/0028-a-function-has-its-own-lines.md."""
    assert len((ROOT / file).read_text().splitlines()) <= 900


def test_what_the_template_includes_is_in_every_release():
    assert {"guest/look.yaml", "guest/act.yaml", "resources.yaml", "outputs.yaml"} < set(includes())
    for file in includes():
        assert any(file == part or file.startswith(f"{part}/") for part in release.CONTENTS), file
        assert (ROOT / file).exists()


def test_a_right_that_stands_in_a_file_of_its_own_is_included():
    assert {f"rights/{path.name}" for path in (ROOT / "rights").iterdir()} <= set(includes())


@pytest.mark.parametrize(
    ("function", "machine"),
    [
        ("SweepFunction", "BackupMachine"),
        ("RecoverFunction", "RecoverMachine"),
        ("RevertFunction", "RevertMachine"),
    ],
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


def test_a_runs_package_is_gone_a_day_later_in_all_its_versions_and_a_retentions_list_a_month_later():
    packages, lists, examinations, diagnoses, postures = RESOURCES["Bucket"]["Properties"]["LifecycleConfiguration"][
        "Rules"
    ]
    assert (packages["Prefix"], lists["Prefix"]) == ("packages/", "retention/")
    assert packages["ExpirationInDays"] * 86400 > LINK_S
    # Never while the execution may still read it.
    assert lists["ExpirationInDays"] * 86400 > definition("RetentionMachine")["TimeoutSeconds"]
    assert examinations["Prefix"] == "doctor/lists/"
    assert examinations["ExpirationInDays"] * 86400 > definition("DoctorMachine")["TimeoutSeconds"]
    # The newest posture and diagnoses stay: only former versions go.
    for rule, folder in ((postures, "posture/"), (diagnoses, "doctor/")):
        assert rule.keys() == {"Id", "Prefix", "Status", "NoncurrentVersionExpiration"}
        assert (rule["Prefix"], rule["Status"]) == (folder, "Enabled")
    for rule in (packages, lists, examinations):
        assert rule["Status"] == "Enabled"
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


@pytest.mark.parametrize(("name", "file"), [("LookDocument", "guest/look.yaml"), ("ActDocument", "guest/act.yaml")])
def test_the_guests_documents_are_included_from_their_own_files_and_new_versions_take_effect(name, file):
    document = RESOURCES[name]
    assert document["Type"] == "AWS::SSM::Document"
    include = document["Properties"]["Content"]["Fn::Transform"]
    assert include == {"Name": "AWS::Include", "Parameters": {"Location": file}}
    assert (ROOT / file).exists()
    assert document["Properties"]["UpdateMethod"] == "NewVersion"


def test_the_runbook_says_of_every_step_of_a_recovery_what_to_do_where_it_fails():
    chapter = (ROOT / "docs/operate/runbook.md").read_text().partition("\n## A recovery failed\n")[2]
    steps = [name for name, state in definition("RecoverMachine")["States"].items() if state["Type"] == "Task"]
    assert re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE) == steps


def test_every_command_of_the_docs_that_sends_our_documents_sends_the_latest_version_by_its_number():
    """Never the default, which CloudFormation may leave at an old version, and never what changes under a run."""
    pages = "\n".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    commands = re.findall(r"aws ssm send-command .*", pages)
    assert commands
    for command in commands:
        assert "--document-version $version" in command
    look = "version=$(aws ssm describe-document --name <ActDocument> --document-version '$LATEST'"
    assert pages.count(look) == len(commands)


def test_the_runbook_has_a_chapter_for_every_alarm_and_a_line_for_every_word():
    runbook = (ROOT / "docs/operate/runbook.md").read_text()
    for name, alarm in resources("AWS::CloudWatch::Alarm").items():
        description = alarm["Properties"]["AlarmDescription"]["Fn::Sub"]
        assert description.startswith("${AWS::StackName}: "), name
        chapter = re.search(r"See docs/operate/runbook.md, (.+)\.$", description)
        assert chapter, name
        assert f"\n## {chapter[1]}\n" in runbook, name
        assert f"*{name}*" in runbook, name
    guest_errors = set(re.findall(r"throw ['\"](\w+)", guest_text())) | {"LanguageMode"}
    guest_errors -= {"exit"}  # a program's exit code: it goes to stderr, never into an answer
    errors = {name for name, kind in vars(quiesce.errors).items() if isinstance(kind, type)} - {
        "QuiesceError",
        "Refused",
    }
    errors -= {"ClassVar"}
    for word in guest_errors | errors | {word for word, _ in ENDINGS.values()}:
        assert f"`{word}`" in runbook, word


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
    for name in ("SharedLayer", "PageLayer"):
        layer = RESOURCES[name]["Properties"]
        assert layer["CompatibleRuntimes"] == [{"Ref": "Runtime"}]
        assert layer["CompatibleArchitectures"] == [{"Ref": "Architecture"}]
        assert f"\nbuild-{name}:\n" in text


def test_the_function_that_makes_pages_alone_has_the_layer_that_does():
    assert [name for name, each in FUNCTIONS.items() if "Layers" in each["Properties"]] == ["PageFunction"]
    assert FUNCTIONS["PageFunction"]["Properties"]["Layers"] == [{"Ref": "PageLayer"}]


def test_pages_are_made_of_records_and_summaries_and_of_no_page():
    [written] = RESOURCES["PageFunction"]["Properties"]["Events"].values()
    pattern = written["Properties"]["Pattern"]
    [key] = pattern["detail"]["object"].values()
    assert pattern["detail"]["bucket"] == {"name": [{"Ref": "Bucket"}]}
    # A page that were an event of its own would be made for ever.
    assert key == [{"wildcard": "records/*.json"}, {"wildcard": "policy-runs/*/summary.json"}]


@pytest.mark.parametrize(("file", "group"), [("requirements.txt", ""), ("requirements-page.txt", "page")])
def test_a_layers_requirements_are_those_of_the_lock(file: str, group: str):
    """Versions and hashes of pyproject.toml's dependencies, or of a group, and of all that these depend on."""
    packages = {p["name"]: p for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    own = packages["quiesce"]
    needed, todo = {}, [d["name"] for d in (own["dev-dependencies"][group] if group else own["dependencies"])]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed[name] = packages[name]
            todo += [d["name"] for d in packages[name].get("dependencies", []) if "marker" not in d]
    text = (ROOT / "src" / file).read_text()
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
    assert pinned == {name: package["version"] for name, package in needed.items()}
    files = [file for package in needed.values() for file in [package["sdist"], *package["wheels"]]]
    assert set(re.findall(r"--hash=(\S+)", text)) == {file["hash"] for file in files}


def test_boto3_comes_from_lambda_and_not_from_the_layer():
    assert not [path for path in (ROOT / "src").glob("requirements*.txt") if "boto" in path.read_text()]
