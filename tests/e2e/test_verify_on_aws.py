"""`make verify-on-aws` as a person runs it, on the local AWS; once with the real `sam build` and `sam deploy`."""

import json
import os
import re
import sys
import time
import zipfile
from pathlib import Path

import pytest

from quiesce.recovery.substitutes import FORMS, PARAMETERS
from sandbox.aws.interpreter import ARCHITECTURE, RUNTIME
from sandbox.aws.snapshots import RULES
from sandbox.environment import ACCOUNT, credentials
from tests.support.deployment import deploy
from tests.support.fixtures import PROJECT
from tools.verify_on_aws import server, stack, steps_watch
from tools.verify_on_aws.__main__ import main
from tools.verify_on_aws.cleanup import LIVING
from tools.verify_on_aws.report import SIMULATED
from tools.verify_on_aws.steps import STEPS
from tools.verify_on_aws.steps_limits import YEARS

# MiniStack has no RedriveExecution, its alarms call nobody, its Scheduler has no dead-letter queue, and it makes no
# metrics of logs; functions have time and memory here; a simulated server runs no PowerShell. What these steps say of
# an answer: tests/project/test_verification_steps.py.
NOT_HERE = {
    *("missing-policy", "redriven-run", "windows-beliefs", "alarm-topics", "missed-schedule", "metrics-at-error"),
    *("dead-function", "stack-key"),
}
TIMED = ("agent-latency", "snapshots-by-tag", "vss-run")
IMAGES = [PARAMETERS + form.format(year=year) for year in YEARS for form in FORMS]
COMMON = ["--runtime", RUNTIME, "--architecture", ARCHITECTURE, "--look-every", "0.05"]
NAME = re.compile(r"quiesce-verify-\w+")


def pause(seconds):
    """Let the sandbox's clock go on where the tool waits for the time itself, and not for AWS."""
    if seconds < 1:
        time.sleep(seconds)
    else:
        RULES.skip(seconds)


@pytest.fixture
def verify(aws, monkeypatch, tmp_path):
    """Run the tool against the local AWS, and answer its question; return its exit code and what it said."""
    for name, value in credentials(aws.endpoint).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    # The machines' waits are skipped here, and EBS's 15 s between two snapshots of a volume would not pass.
    monkeypatch.setattr(RULES, "volume_interval_s", 0.0)
    # What never comes here.
    for limit in ("ACTION_LIMIT_S", "METRIC_LIMIT_S", "MESSAGE_LIMIT_S"):
        monkeypatch.setattr(steps_watch, limit, 0.2)

    def verify(*arguments, answer=None):
        said = []

        def ask(question):
            said.append(question)
            return NAME.search(question)[0] if answer is None else answer

        code = main([*arguments, *COMMON, "--report", str(tmp_path)], ask, said.append, pause)
        return code, "\n".join(said)

    return verify


@pytest.fixture
def without_sam(aws, monkeypatch):
    """Deploy in seconds, without sam: another test has the real one."""

    def deployed(it, _account, _runtime, _architecture, server_role):
        deploy(aws, PROJECT, it.name, {"ServerRoles": server_role} if server_role else {})
        stack.look_at_stack(it)

    monkeypatch.setattr(stack, "deploy", deployed)


@pytest.fixture
def thrown_away(aws):
    return aws.servers.add("THROWAWAY", tags={"quiesce-verify": "throw-away"})


def everything(aws):
    """Names and ids of all that exists in the account."""
    ec2, iam = aws.client("ec2"), aws.client("iam")
    alive = [{"Name": "instance-state-name", "Values": list(LIVING)}]
    servers = ec2.describe_instances(Filters=alive)["Reservations"]
    stacks = aws.client("cloudformation").list_stacks()["StackSummaries"]
    return {
        "servers": {i["InstanceId"] for r in servers for i in r["Instances"]},
        "volumes": {v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]},
        "snapshots": {s["SnapshotId"] for s in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]},
        "images": {i["ImageId"] for i in ec2.describe_images(Owners=["self"])["Images"]},
        "groups": {g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]},
        "stacks": {s["StackName"] for s in stacks if s["StackStatus"] != "DELETE_COMPLETE"},
        "buckets": {b["Name"] for b in aws.client("s3").list_buckets()["Buckets"]},
        "tables": set(aws.client("dynamodb").list_tables()["TableNames"]),
        "roles": {r["RoleName"] for r in iam.list_roles()["Roles"]},
        "profiles": {p["InstanceProfileName"] for p in iam.list_instance_profiles()["InstanceProfiles"]},
        "documents": set(aws.run_command.documents),
    }


def report_in(folder):
    [archive] = folder.glob("*.zip")
    with zipfile.ZipFile(archive) as packed:
        return {name.partition("/")[2]: packed.read(name).decode("utf-8", "replace") for name in packed.namelist()}


def operations(lines):
    return {line.split()[0] for line in lines.splitlines() if re.match(r" *([\w-]+:[A-Z]\w+|command) ", line)}


def test_it_takes_every_step_leaves_nothing_and_says_that_all_was_simulated(aws, verify, thrown_away, tmp_path):
    image = aws.servers.add_public_image("windows")
    aws.run_command.parameters |= dict.fromkeys(IMAGES, image)
    before = everything(aws)
    code, said = verify("--server", thrown_away.instance_id)
    report = report_in(tmp_path)
    data = json.loads(report["report.json"])
    steps = {each["step"]: each for each in data["steps"]}
    assert steps.keys() == {step.name for step in STEPS if not step.ends_server}
    verdicts = {name: each["verdict"] for name, each in steps.items()}
    # How long something took is this machine's affair.
    assert {verdicts.pop(name) for name in TIMED} <= {"as expected", "otherwise"}
    assert "dry run: no problem; recovered, " in steps["recovery"]["seen"]
    assert {verdicts[name] for name in NOT_HERE} == {"not seen"}
    assert "Successful, application" in steps["vss-run"]["seen"]
    assert "evidence present; files 11" in steps["vss-run"]["seen"]
    assert {name for name, verdict in verdicts.items() if verdict != "as expected"} == NOT_HERE, report["report.md"]
    assert (code, data["ended_by"], data["left"]) == (1, "", [])
    assert "Nothing is left." in said
    # Nobody may take this for AWS.
    assert data["simulated"]
    assert all(each["simulated"] for each in data["steps"])
    assert SIMULATED in said
    assert SIMULATED in report["report.md"]
    assert len(re.findall(r"\| simulated: [a-z ]+ \|\n", report["report.md"])) == len(steps)
    assert {"raw/diskshadow.log", "raw/session.log", "calls.log"} <= report.keys()
    measured = data["measured"]
    assert {"freeze_window", "command_answered_s", "states", "code_bytes", "document_bytes"} <= measured.keys()
    assert all(ACCOUNT not in text for name, text in report.items() if not name.startswith("raw/"))
    assert everything(aws) == before
    # The dry run printed every call that was made.
    _, dry = verify("--server", thrown_away.instance_id, "--dry-run")
    assert operations(report["calls.log"]) <= operations(dry) | {"sts:GetCallerIdentity"}


def test_a_dry_run_needs_no_account_and_makes_no_call(aws, verify, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    code, said = verify("--dry-run", answer="never asked")
    assert code == 0
    assert {"ec2:RunInstances", "iam:CreateRole", "command", "ec2:TerminateInstances"} <= operations(said)
    assert all(f"# {step.name}: " in said for step in STEPS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "answer", "words"),
    [([], "no", "Nothing was created."), (["--limit", "0.5"], None, "That is over the limit")],
    ids=["not agreed", "over the limit"],
)
def test_nothing_is_created_before_a_person_agrees(aws, verify, arguments, answer, words):
    before = everything(aws)
    code, said = verify(*arguments, answer=answer)
    assert code == 2
    assert words in said
    assert everything(aws) == before


def test_a_server_that_is_not_marked_is_left_alone(aws, verify, tmp_path):
    precious = aws.servers.add("PRECIOUS")
    before = everything(aws)
    code, said = verify("--server", precious.instance_id)
    assert code == 1
    assert "does not carry the tag quiesce-verify = throw-away" in said
    assert everything(aws) == before
    assert not {"ec2:StopInstances", "ec2:AttachVolume", "ec2:CreateSnapshots"} & operations(
        report_in(tmp_path)["calls.log"]
    )
    assert {each["verdict"] for each in json.loads(report_in(tmp_path)["report.json"])["steps"]} == {"not run"}


@pytest.mark.usefixtures("without_sam")
def test_a_limit_that_is_reached_ends_it_and_all_is_deleted(aws, verify, thrown_away, tmp_path, monkeypatch):
    before = everything(aws)
    monkeypatch.setattr("tools.verify_on_aws.__main__.estimate", lambda *_: 0.0)
    monkeypatch.setattr("tools.verify_on_aws.spending.SERVER_GIB", 10**9)
    code, said = verify("--server", thrown_away.instance_id, "--limit", "5")
    data = json.loads(report_in(tmp_path)["report.json"])
    assert code == 1
    assert "is over --limit 5.00" in data["ended_by"]
    assert data["dollars_at_most"] > 5
    assert "not run" in {each["verdict"] for each in data["steps"]}
    assert "Nothing is left." in said
    assert everything(aws) == before


@pytest.mark.usefixtures("without_sam")
def test_a_server_of_the_public_image_is_launched_verified_recovered_and_terminated(aws, verify, tmp_path, monkeypatch):
    monkeypatch.setitem(aws.run_command.parameters, server.PUBLIC_IMAGE, aws.servers.add_public_image("windows"))
    before, decided = everything(aws), len(aws.decisions.decisions)
    code, said = verify("--steps", "first-run,initial-image,recovery,terminated-server")
    report = report_in(tmp_path)
    verdicts = {each["step"]: each["verdict"] for each in json.loads(report["report.json"])["steps"]}
    expected = dict.fromkeys(["first-run", "initial-image", "recovery", "terminated-server"], "as expected")
    assert verdicts == expected, report["report.md"]
    # Recovered with the role of its profile, which EC2 lets the function pass. Scheduler gets a role of its own.
    since = aws.decisions.decisions[decided:]
    passed = {d for d in since if d.action == "iam:PassRole" and "-ScheduleRole-" not in d.resource}
    assert {(d.allowed, d.resource.rpartition("/")[2]) for d in passed} == {(True, NAME.search(said)[0])}
    assert {"ec2:RunInstances", "iam:CreateRole", "ec2:TerminateInstances"} <= operations(report["calls.log"])
    assert (code, everything(aws)) == (0, before)


@pytest.mark.usefixtures("without_sam")
def test_a_server_that_it_launched_goes_with_its_role_also_if_its_agent_is_never_heard_of(
    aws, verify, tmp_path, monkeypatch
):
    monkeypatch.setattr(server, "AGENT_LIMIT_S", 0.5)
    monkeypatch.setattr(server, "MANAGED_POLICY", "arn:{partition}:iam::aws:policy/ReadOnlyAccess")
    monkeypatch.setitem(aws.run_command.parameters, server.PUBLIC_IMAGE, aws.servers.add_public_image("windows"))
    before = everything(aws)
    code, said = verify()
    report = report_in(tmp_path)
    assert code == 1
    assert "ssm:DescribeInstanceInformation was not ready" in said, said
    assert {"ec2:RunInstances", "iam:CreateRole", "ec2:TerminateInstances"} <= operations(report["calls.log"])
    assert everything(aws) == before


@pytest.mark.usefixtures("without_sam")
def test_what_could_not_be_deleted_is_listed_and_goes_by_its_name_later(
    aws, verify, thrown_away, tmp_path, monkeypatch
):
    before = everything(aws)
    # boto3 would try for half a minute.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    aws.faults.refuse("dynamodb:DeleteTable", "ThrottlingException", times=20)
    aws.faults.refuse("ec2:DeregisterImage", "UnauthorizedOperation", times=20)
    code, said = verify("--server", thrown_away.instance_id, "--steps", "first-run")
    name = NAME.search(said)[0]
    assert code == 1
    assert re.search(rf"Not deleted: table {name}-\S+: .*ThrottlingException", said)
    assert re.search(r"Not deleted: images: .*UnauthorizedOperation", said), said
    assert re.search(r"Not deleted: ami-\w+ still exists", said)
    assert json.loads(report_in(tmp_path)["report.json"])["left"]
    aws.faults.reset()
    code, said = verify("--clean-up", name)
    assert (code, said) == (0, "Nothing is left.")
    assert everything(aws) == before


@pytest.mark.parametrize("name", ["quiesce", "production", "quiesce-verify-"])
def test_only_a_verification_is_cleaned_up_by_name(verify, name, capsys):
    with pytest.raises(SystemExit):
        verify("--clean-up", name)
    assert "is no name of a verification" in capsys.readouterr().err


@pytest.mark.usefixtures("without_sam")
def test_ctrl_c_deletes_what_was_created(aws, verify, thrown_away, monkeypatch):
    before = everything(aws)

    def interrupted(_it):
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "await_agent", interrupted)
    code, said = verify("--server", thrown_away.instance_id)
    assert code == 1
    assert "Ended early: Ctrl-C" in said
    assert everything(aws) == before


def test_a_step_that_does_not_exist_is_refused_with_those_that_do(verify, capsys):
    with pytest.raises(SystemExit):
        verify("--steps", "first-run,frist-run")
    assert "frist-run is no step; there are agent-latency, " in capsys.readouterr().err


def test_a_person_who_is_not_logged_in_is_told_so(verify, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code, said = verify()
    assert code == 2
    assert "AWS does not say which account this is" in said
