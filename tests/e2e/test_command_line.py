"""The command line on a stack of its own, with records that the tests put there: its answers and exit codes."""

import http.client
import json
import re
import socket
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from quiesce_cli.aws.alarms import Subscriber
from quiesce_cli.aws.stack import Stack
from quiesce_cli.screen import Screen

from quiesce.points.record import SnapshotRecord
from quiesce.posture.state import POSTURE_KEY, LeftOver, Posture, Unprotected
from sandbox.executions import until, wait_for
from sandbox.windows.examination import DISABLED
from tests.support.command_line import COMMANDS, type_command
from tests.support.deployment import deploy
from tests.support.factories.run import NOW, a_record, a_volume
from tests.support.fixtures import PROJECT

STACK = "morning"
HERE = {"QUIESCE_STACK": STACK}
RUN = "run-0"
# This command asks nothing of AWS.
OFFLINE = "policy check FILE"
ASKING = [line for line in COMMANDS if line != OFFLINE]
# Of a server that the policy does not have, so that its run ends at once.
STRANGER = "i-0123456789abcdef0"


def type_here(line, *more, **options):
    environment = {**HERE, **options.pop("environment", {})}
    return type_command(*line.split(), *more, environment=environment, **options)


class Morning:
    """A stack with policies and records, as a person finds it in the morning."""

    def __init__(self, aws):
        self.aws = aws
        self.outputs = deploy(aws, PROJECT, STACK)
        self.bucket, self.topic = self.outputs["BucketName"], self.outputs["TopicArn"]

    def clear(self):
        s3 = self.aws.client("s3")
        for found in s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            s3.delete_object(Bucket=self.bucket, Key=found["Key"])

    def put(self, key, text):
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=text.encode())

    def look(self, **changes):
        """Leave what the stack's hourly look leaves."""
        nothing = {"windows_servers": 0, "covered": 0, "unknown": []}
        nothing |= {part: [] for part in ("policies", "unprotected", "left", "unproven")}
        posture = Posture(**{"stack": STACK, "looked_at": datetime.now(UTC), **nothing, **changes})
        self.put(POSTURE_KEY, posture.model_dump_json())

    def put_policy(self, name, *servers):
        targets = "".join(f"\n  - {{instance_id: {server.instance_id}, vss: off}}" for server in servers)
        self.put(f"policies/{name}.yaml", f"name: {name}\ntargets:{targets}\n")

    def leave(self, server, run_id=RUN, **changes):
        """Leave a recovery point, with snapshots that EC2 has."""
        volumes = [a_volume(number, volume_id=v) for number, v in enumerate(server.volumes.values())]
        tag = {"ResourceType": "snapshot", "Tags": [{"Key": "quiesce:stack", "Value": STACK}]}
        snapshots = [
            SnapshotRecord(
                snapshot_id=self.aws.client("ec2").create_snapshot(VolumeId=volume.volume_id, TagSpecifications=[tag])[
                    "SnapshotId"
                ],
                **volume.model_dump(include={"volume_id", "device", "root", "size_gib"}),
                state="completed",
                started_at=NOW,
                completed_at=NOW,
                volume=volume,
            )
            for volume in volumes
        ]
        key = f"records/{server.instance_id}/{run_id}.json"
        record = a_record(
            run_id=run_id,
            policy="files",
            instance_id=server.instance_id,
            instance_name=server.name,
            snapshots=snapshots,
            record=f"s3://{self.bucket}/{key}",
            **changes,
        )
        self.put(key, record.model_dump_json())
        return record


@pytest.fixture(scope="module")
def deployed_morning(running_sandbox):
    return Morning(running_sandbox)


@pytest.fixture
def morning(aws, deployed_morning, monkeypatch):
    from sandbox.aws.snapshots import RULES

    monkeypatch.setattr(RULES, "volume_interval_s", 0.0)
    # A snapshot that is still pending is no point to recover from.
    monkeypatch.setattr(RULES, "duration_s", 0.0)
    deployed_morning.clear()
    deployed_morning.look()
    return deployed_morning


@pytest.fixture(autouse=True)
def browser(monkeypatch):
    """A person who opens the console, does what a test says, and ends it; otherwise it ends at once."""
    seen = SimpleNamespace(does=lambda _console: None)

    def until_stopped(console):
        thread = threading.Thread(target=console.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            seen.does(console)
        finally:
            console.shutdown()
            console.server_close()
            thread.join()

    monkeypatch.setattr("quiesce_cli.commands.serve.until_stopped", until_stopped)
    return seen


@pytest.fixture
def two(aws, morning):
    """Two servers of one policy, with a good recovery point each."""
    servers = [aws.servers.add(name) for name in ("SERVER1", "SQL07")]
    morning.put_policy("files", *servers)
    for number, server in enumerate(servers):
        morning.leave(server, f"run-{number}")
    return servers


def test_an_empty_stack_says_how_to_begin(morning):
    status = type_here("status")
    assert (status.code, status.out) == (
        0,
        "No policy names a server yet. Begin with: quiesce policy put FILE  morning in eu-central-1\n",
    )
    assert type_here("points").out == "No run has left a recovery point here.\n"
    assert type_here("policy list").out.startswith("There is no policy yet.")
    assert type_here("cost --json").data["stored_dollars"] == 0
    doctor = type_here("doctor --json")
    assert doctor.code == 1
    assert {check["name"] for check in doctor.data["checks"] if not check["good"]} == {"policies", "mails"}
    nothing = type_here("show run-0")
    assert (nothing.code, nothing.out) == (2, "")
    assert nothing.err.startswith("error: no run has left a record whose id is or begins with 'run-0'\nremedy: ")
    unnamed = type_here("recover --dry-run")
    assert (unnamed.code, "name POINT, or --server and --at" in unnamed.err) == (2, True)


TROUBLES = {
    "a stack that does not exist": ({"QUIESCE_STACK": "nope"}, "there is no stack 'nope' in eu-central-1"),
    "another Region": ({"AWS_REGION": "eu-west-1"}, "there is no stack 'morning' in eu-west-1"),
    "no credentials": ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "there are no credentials for AWS"),
    "unknown credentials": ({"AWS_PROFILE": "unknown"}, "AWS does not know your credentials"),
    "expired credentials": ({"AWS_PROFILE": "expired"}, "your credentials have expired"),
    "nothing that answers": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "AWS can't be reached"),
}


@pytest.fixture
def profiles(aws, tmp_path, monkeypatch):
    """Credentials of people, in a file: the sandbox takes those of the environment for the account's own."""
    from ministack.services import sts

    role = aws.client("iam").list_roles()["Roles"][0]["Arn"]
    keys = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="person")["Credentials"]
    sts._sessions[keys["AccessKeyId"]]["Expiration"] = time.time() - 1
    file = tmp_path / "credentials"
    file.write_text(
        "[unknown]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n"
        f"[expired]\naws_access_key_id = {keys['AccessKeyId']}\naws_secret_access_key = {keys['SecretAccessKey']}\n"
        f"aws_session_token = {keys['SessionToken']}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))


@pytest.mark.usefixtures("profiles", "morning")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_command_says_in_one_line_what_is_out_of_reach(trouble, tmp_path):
    environment, words = TROUBLES[trouble]
    assert type_here(filled(OFFLINE, tmp_path), environment=environment).code == 0
    for line in ASKING:
        printed = type_here(filled(line, tmp_path), environment=environment)
        assert (printed.code, printed.out) == (3, ""), line
        error, remedy = printed.err.splitlines()
        assert error.startswith(f"error: {words}"), line
        assert remedy.startswith("remedy: ")


def filled(line, tmp_path):
    return line.replace("FILE", good_file(tmp_path)).replace("FOLDER", str(tmp_path / "pages"))


def good_file(tmp_path):
    file = tmp_path / "weekly.yaml"
    file.write_text("name: weekly\ntargets: [{instance_id: i-0123456789abcdef0, vss: off}]\n")
    return str(file)


# What a person hears on a stack on which nothing has been done yet: the exit code, and words of the answer or error.
NOTHING_YET = {
    "status": (0, "No policy names a server yet"),
    "points": (0, "No run has left a recovery point here."),
    "show run-0": (2, "no run has left a record"),
    "explain run-0": (2, "no run has left a record"),
    "writers": (0, "No run that was looked at has asked VSS for its writers."),
    "policy check FILE": (0, "weekly"),
    "policy list": (0, "There is no policy yet."),
    "policy show files": (2, "policies/files.yaml does not exist"),
    "policy put FILE": (0, "policies/weekly.yaml"),
    "policy next": (0, "No schedule starts a policy."),
    "policy remove files --yes": (2, "policies/files.yaml does not exist"),
    "run files --detach": (2, "policies/files.yaml does not exist"),
    "follow run-0": (2, "no run or recovery is called 'run-0'"),
    "recover run-0 --dry-run": (1, "there is no plan"),
    "prune --dry-run": (0, "0 recovery points would go."),
    "hold run-0": (2, "no run has left a record"),
    "release run-0": (2, "no run has left a record"),
    "unprotected": (2, "the stack has not looked at its servers yet"),
    "cost": (0, "Calls of the newest 0 runs"),
    "doctor": (1, "there is none"),
    "report --to FOLDER": (1, "overview.html"),
    "serve": (0, "http://127.0.0.1:"),
}


def test_each_command_has_an_answer_for_a_stack_on_which_nothing_has_been_done_yet(morning, tmp_path):
    for line in COMMANDS:
        morning.clear()
        printed, (code, words) = type_here(filled(line, tmp_path)), NOTHING_YET[line]
        assert (printed.code, words in printed.out + printed.err) == (code, True), (line, printed)
        assert bool(printed.out) != bool(printed.err), line


def test_each_command_prints_its_documented_shape_fits_sixty_columns_and_is_plain_in_a_pipe(two, morning, tmp_path):
    started = type_here(f"run files {STRANGER} --detach --json").data["run_id"]
    for line, shape in COMMANDS.items():
        typed = filled(line, tmp_path).replace("follow run-0", f"follow {started}")
        typed = typed.replace("run files", f"run files {STRANGER}")
        # Ctrl-C of another test shows what is not over; here each is looked at to its end.
        forms = [{"width": 60}, {}, {"width": 200, "colours": True}, {"more": "--json"}]
        narrow, piped, lively, as_json = (_printed(morning, two, typed, **form) for form in forms)
        assert "\x1b" not in piped.out + piped.err, line
        assert "\x1b" not in as_json.out + as_json.err, line
        assert narrow.width <= 60, (line, narrow.out)
        assert as_json.code == narrow.code == piped.code == lively.code in (0, 1), (line, piped.err)
        if line == "recover run-0 --dry-run" and piped.err:
            # These records were never written by a run, and no recovery takes them.
            continue
        assert narrow.out, line
        if shape:
            shape.model_validate_json(as_json.out)


def _printed(morning, two, typed, more="", **form):
    morning.put_policy("files", *two)
    return type_here(f"{typed} {more}", **form)


def test_everything_is_good_while_each_newest_run_is_successful(two, morning):
    good = type_here("status")
    assert (good.code, good.out.splitlines()[0]) == (0, "Everything is good.  morning in eu-central-1")
    morning.leave(two[1], "run-2", status="Failed", reason="the agent is offline", started_at=NOW + timedelta(days=1))
    bad = type_here("status --json")
    assert bad.code == 1
    first = bad.data["servers"][0]
    assert (first["name"], first["good"], first["problem"]) == ("SQL07", False, "the agent is offline")
    assert (first["newest"]["run_id"], first["newest_good"]["run_id"]) == ("run-2", "run-1")
    assert type_here("status").out.startswith("Not everything is good: 1 of 2 servers")


def test_a_server_that_no_run_has_backed_up_is_not_good(aws, two, morning):
    third = aws.servers.add("NEW")
    morning.put_policy("files", *two, third)
    status = type_here("status --json")
    assert status.code == 1
    assert [each["instance_id"] for each in status.data["servers"] if not each["good"]] == [third.instance_id]


def test_an_alarm_that_is_on_is_not_good_in_status_and_doctor(aws, two):
    cloudwatch = aws.client("cloudwatch")
    [name] = [a["AlarmName"] for a in cloudwatch.describe_alarms(AlarmNamePrefix=f"{STACK}-AutoThawed")["MetricAlarms"]]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    try:
        status, doctor = type_here("status"), type_here("doctor")
    finally:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")
    assert status.code == doctor.code == 1
    assert name in status.out
    assert "a server thawed by itself before quiesce asked it to" in doctor.out
    assert type_here("status").code == 0


def test_doctor_ends_with_what_the_stacks_own_doctor_found_last(aws, two, morning):
    lacking, well = two
    targets = ", ".join(f"{{instance_id: {server.instance_id}}}" for server in two)
    morning.put("policies/app.yaml", f"name: app\ntargets: [{targets}]\n")
    lacking.windows.guest.condition.services["VSS"] = DISABLED
    start = aws.client("stepfunctions").start_execution
    machine, asked = morning.outputs["DoctorMachineArn"], json.dumps({"policy": "app"})
    assert wait_for(aws, start(stateMachineArn=machine, input=asked)["executionArn"])["status"] == "SUCCEEDED"
    bad, good = [each for each in type_here("doctor --json").data["checks"] if each["name"] == "ready"]
    assert (bad["good"], good["good"]) == (False, True)
    assert bad["words"] == f"{lacking.name} {lacking.instance_id}: policy app wants vss, and it lacks: service VSS"
    assert bad["remedy"].startswith("allow it by the tag quiesce:may-be-changed, then start the doctor")
    assert (good["words"], well.name) == ("servers ready for what policies want: 1", "SQL07")


def test_the_overview_and_a_runs_page_are_files_to_open(two, morning, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    said = type_here(f"report --open --to {tmp_path} --json")
    page = tmp_path / "pages" / "overview.html"
    assert said.data["page"] == str(page)
    assert opened == [page.as_uri()]
    for link in re.findall(r'href="(\.\./records/[^"]+)"', page.read_text()):
        assert (page.parent / link).exists()
    [(_, run), *_] = [(r["at"], r["run_id"]) for r in type_here("points --all --json").data["points"]]
    assert (tmp_path / f"{run}.html").name in type_here(f"report {run} --to {tmp_path}").out


def test_a_record_and_a_policy_that_cannot_be_read_are_named_and_the_others_are_shown(two, morning):
    morning.put(f"records/{two[0].instance_id}/later.json", '{"run_id": 7}')
    morning.put("policies/broken.yaml", "name: broken\ntargts: []\n")
    points, status = type_here("points --json"), type_here("status --json")
    assert points.code == status.code == 1
    assert {point["run_id"] for point in points.data["points"]} == {"run-0", "run-1"}
    assert "later.json: run_id" in points.data["problems"][0]
    assert "broken.yaml: line 2, column 9: targts: is not a field that quiesce knows" in status.data["problems"][0]


def test_a_record_of_a_later_version_is_read(two, morning):
    record = morning.leave(two[0], "run-9")
    data = json.loads(record.model_dump_json()) | {"something_new": {"x": 1}}
    morning.put(f"records/{two[0].instance_id}/run-9.json", json.dumps(data))
    assert type_here("show run-9 --json").data["run_id"] == "run-9"


def test_the_newest_good_point_of_each_server_is_recommended_and_a_deleted_one_is_not_there(aws, two, morning):
    newest = morning.leave(two[0], "run-8", snapshots_at=NOW + timedelta(days=1))
    points = {point["run_id"]: point for point in type_here("points --json").data["points"]}
    assert {run_id for run_id, point in points.items() if point["recommended"]} == {"run-8", "run-1"}
    aws.client("ec2").delete_snapshot(SnapshotId=newest.snapshots[0].snapshot_id)
    points = {point["run_id"]: point for point in type_here("points --json").data["points"]}
    assert {run_id for run_id, point in points.items() if point["recommended"]} == {"run-0", "run-1"}
    assert "was deleted" in points["run-8"]["flaw"]
    assert points["run-0"]["recover"] == f"quiesce recover run-0 --server {two[0].instance_id}"


def test_points_of_one_server_and_of_one_page(two, morning):
    for number in range(3):
        morning.leave(two[0], f"old-{number}")
    own = type_here(f"points --server {two[1].instance_id} --json").data["points"]
    assert [point["run_id"] for point in own] == ["run-1"]
    page = type_here("points --limit 2 --json").data
    assert (len(page["points"]), page["more"]) == (2, 3)


# Of each of two servers; with the pages that the stack makes beside some, ten thousand objects at most.
MANY, EACH = 10_000, 4_995
# Which calls of S3 each command may make there, and how many kilobytes it may read beside the names.
AMONG_MANY = {
    "points": ({"ListObjectsV2": 10, "GetObject": 20}, 150),
    "points --server SERVER --limit 5": ({"ListObjectsV2": 5, "GetObject": 5}, 50),
    "status": ({"ListObjectsV2": 11, "GetObject": 1 + 2 * 2}, 50),
    "show many-a-0000": ({"ListObjectsV2": 10, "GetObject": 1}, 20),
    "explain many-a-0000": ({"ListObjectsV2": 10, "GetObject": 1}, 20),
    "cost --limit 10": ({"ListObjectsV2": 10, "GetObject": 10}, 80),
    "doctor": ({"ListObjectsV2": 12, "GetObject": 2}, 20),
}
BYTES_OF_A_NAME = 400


@pytest.fixture
def many(two, morning, monkeypatch):
    """10,000 records of two servers, put beside S3's door; yields what the commands ask of S3."""
    from botocore.httpsession import URLLib3Session
    from ministack.services import s3

    [objects] = [found["objects"] for (_, name), found in s3._buckets._data.items() if name == morning.bucket]
    added = {}
    for number, (letter, server) in enumerate(zip("ab", two, strict=True)):
        folder, name = f"records/{server.instance_id}", f"run-{number}.json"
        record = objects[f"{folder}/{name}"]
        for minute in range(EACH):
            run_id = f"many-{letter}-{minute:04}"
            body = record["body"].replace(name.removesuffix(".json").encode(), run_id.encode())
            at = (NOW + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            added[f"{folder}/{run_id}.json"] = {
                **record,
                "body": body,
                "size": len(body),
                "checksums": {},
                "last_modified": at,
            }
    objects.update(added)
    seen, send = [], URLLib3Session.send

    def watched(self, request):
        answer = send(self, request)
        if morning.bucket in request.url:
            call = "GetBucketVersioning" if "?versioning" in request.url else "GetObject"
            # The body of an object is a stream, which its reader alone may read.
            size = int(answer.headers["Content-Length"])
            seen.append(("ListObjectsV2" if "list-type=2" in request.url else call, size))
        return answer

    monkeypatch.setattr(URLLib3Session, "send", watched)
    yield seen
    for key in added:
        del objects[key]


def test_among_ten_thousand_points_a_command_lists_the_names_and_reads_what_it_shows(two, many):
    for line, (calls, kilobytes) in AMONG_MANY.items():
        many.clear()
        printed = type_here(line.replace("SERVER", two[0].instance_id), "--json")
        assert printed.code in (0, 1), (line, printed.err)
        made = Counter(call for call, _ in many)
        assert made == {**made, **calls}, (line, made)
        assert sum(size for call, size in many if call == "GetObject") < kilobytes * 1000, line
        assert sum(size for call, size in many if call != "GetObject") < MANY * BYTES_OF_A_NAME, line
    page = type_here("points --json").data
    assert (len(page["points"]), page["more"] >= 2 * EACH - 20) == (20, True)


def ask(console, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", console.server_port)
    own = {"Origin": f"http://127.0.0.1:{console.server_port}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST" if body else "GET", f"/{console.token}/{path}", body, own if body else {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.getheader("Location", "")


def test_the_console_shows_the_overview_live_and_starts_a_backup(two, morning, person, browser):
    profile = person("looks-on", morning.outputs["ReaderPolicyArn"], morning.outputs["OperatorPolicyArn"])
    seen, now = {}, datetime.now(UTC)
    # The calendar has the last five weeks.
    morning.leave(two[0], "today", started_at=now, snapshots_at=now, ended_at=now)

    def looks(console):
        seen["overview"] = ask(console, "")
        seen["run"] = ask(console, f"records/{two[0].instance_id}/today.html")
        morning.put(f"records/{two[0].instance_id}/later.json", '{"run_id": 7}')
        seen["unread"] = ask(console, f"records/{two[0].instance_id}/later.html")
        seen["none"] = ask(console, f"records/{two[0].instance_id}/run-7.html")
        morning.leave(two[1], "run-2", status="Failed", reason="the agent is offline", started_at=now)
        seen["later"] = ask(console, "")
        form = ask(console, "start")[1].partition('name="form" value="')[2].partition('"')[0]
        seen["started"] = ask(console, "start", f"form={form}&policy=files")

    browser.does = looks
    printed = type_here(f"serve --allow-start {profile}")
    assert (printed.code, printed.err) == (0, "")
    assert {name: status for name, (status, *_) in seen.items()} == {
        **dict.fromkeys(("overview", "run", "later", "unread"), 200),
        "none": 404,
        "started": 303,
    }
    overview, later = seen["overview"][1], seen["later"][1]
    assert all(name in overview for name in ("Everything is good.", "SERVER1", "SQL07", 'href="start"'))
    assert f'href="records/{two[0].instance_id}/today.html"' in overview
    assert 'href="../../"' in seen["run"][1]
    assert "later.json" in seen["unread"][1]
    assert "the agent is offline" not in overview
    assert "the agent is offline" in later
    started = seen["started"][2].rpartition("/")[2]
    assert type_here(f"follow {started} --json").data["run_id"] == started
    # Retention follows a policy run by itself.
    states = morning.aws.client("stepfunctions")
    machines = [each["stateMachineArn"] for each in states.list_state_machines()["stateMachines"]]
    until(
        lambda: (
            not any(
                states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
                for machine in machines
            )
        )
    )


def test_a_port_that_is_taken_is_told_before_anything_is_served(morning):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        printed = type_here(f"serve --port {taken.getsockname()[1]}")
    assert (printed.code, printed.out) == (2, "")
    assert "can't be used: " in printed.err


def test_a_bad_policy_is_told_and_none_of_the_files_is_uploaded(aws, morning, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: other\ntargets: [{instance_id: i-0123456789abcdef0}]\n")
    refused = type_here("policy put", good_file(tmp_path), str(bad))
    assert refused.code == 1
    assert "name: is 'other', but the file is 'bad.yaml'; give both the same name" in refused.out
    assert type_here("policy list --json").data["policies"] == []
    put = type_here("policy put", good_file(tmp_path), "--json")
    assert (put.code, put.data["put"]) == (0, [f"s3://{morning.bucket}/policies/weekly.yaml"])
    shown = type_here("policy show weekly")
    assert "name: weekly\ntargets:" in shown.out
    assert type_here("policy show nope").code == 2


def test_the_next_runs_come_from_the_text_in_force_and_a_removed_policy_has_none(aws, morning):
    """A bad file changes nothing: the schedules go on by the last good text."""
    text = "name: nightly\ntimezone: Europe/Berlin\ntargets: [{instance_id: i-0123456789abcdef0}]\n"
    text += "schedules: [{cron: '0 3 * * ? *'}]\n"
    morning.put("policies/nightly.yaml", "name: nightly\ntargts: []\n")
    item = {"pk": {"S": "policies"}, "sk": {"S": "in-force#nightly"}, "text": {"S": text}}
    aws.client("dynamodb").put_item(TableName=morning.outputs["TableName"], Item=item)
    known = type_here("policy next nightly --count 2 --json")
    assert known.code == 0, known.data
    assert [run["clock"][-5:] for run in known.data["runs"]] == ["03:00", "03:00"]
    refused = type_here("policy remove nightly")
    assert (refused.code, "add --yes" in refused.err) == (2, True)
    removed = type_here("policy remove nightly --yes --json")
    assert removed.data["removed"] == [f"s3://{morning.bucket}/policies/nightly.yaml"]
    assert type_here("policy list --json").data["policies"] == []


def test_servers_that_no_policy_covers_are_listed_as_of_the_last_look(morning):
    good = type_here("unprotected")
    assert (good.code, good.out.startswith("All 0 Windows servers are covered.")) == (0, True)
    bare = Unprotected(instance_id="i-1", name="BARE", state="stopped", reason="no policy means it")
    left = LeftOver(
        instance_id="i-2", policy="files", kind="gone", reason="the server is gone", points=3, newest_at=NOW
    )
    morning.look(windows_servers=4, covered=3, unprotected=[bare], left=[left])
    printed, data = type_here("unprotected"), type_here("unprotected --json").data
    assert printed.code == 1
    assert printed.out.startswith("Not protected: 1 of 4 Windows servers")
    assert (data["servers"][0]["name"], data["left"][0]["kind"], data["problems"]) == ("BARE", "gone", [])
    morning.look(looked_at=datetime.now(UTC) - timedelta(hours=4), unknown=["policy x: bad"])
    old = type_here("unprotected")
    assert (old.code, "the stack has not looked since" in old.out, "policy x: bad" in old.out) == (1, True, True)
    morning.put(POSTURE_KEY, "{}")
    unread = type_here("unprotected")
    assert (unread.code, "can't be read (stack: Field required)" in unread.err) == (2, True)
    morning.clear()
    never = type_here("unprotected")
    assert (never.code, "the stack has not looked at its servers yet" in never.err) == (2, True)


def test_a_hold_is_a_tag_on_the_snapshots_that_are_there_until_it_is_released(aws, two, morning):
    def holds():
        found = aws.client("ec2").describe_snapshots(Filters=[{"Name": "tag-key", "Values": ["quiesce:hold"]}])
        return {s["SnapshotId"]: {t["Key"]: t["Value"] for t in s["Tags"]}["quiesce:hold"] for s in found["Snapshots"]}

    record = morning.leave(two[0], "run-7")
    gone, *there = [snapshot.snapshot_id for snapshot in record.snapshots]
    aws.client("ec2").delete_snapshot(SnapshotId=gone)
    held = type_here("hold run-7 --why audit --json")
    assert (held.code, held.data["held"], held.data["snapshots"]) == (0, True, sorted(there))
    assert holds() == dict.fromkeys(there, "audit")
    assert type_here("hold run-7").out.startswith("Held. run-7 of ")
    assert type_here("hold run-7 --why", "a,b").code == 2
    assert type_here("release run-7").out.startswith("Released. run-7 of ")
    assert holds() == {}
    assert type_here("release run-7").code == 0
    for snapshot_id in there:
        aws.client("ec2").delete_snapshot(SnapshotId=snapshot_id)
    assert type_here("hold run-7").code == 1


def test_a_dry_run_of_pruning_shows_what_would_go_and_removes_nothing(two):
    plan = type_here("prune --dry-run --json")
    assert (plan.code, plan.data["would_go"]) == (0, 0), plan.out + plan.err
    assert "0 recovery points would go." in type_here("prune --dry-run", width=60).out
    assert type_here("prune").code == 2


@pytest.fixture
def asked(monkeypatch):
    """A person at a terminal: what they are asked, and what they answer."""
    seen = SimpleNamespace(questions=[], number=1, yes=False)
    monkeypatch.setattr(Screen, "asks", True)

    def prompt(question, **_more):
        seen.questions.append(question)
        return seen.number

    def confirm(question, **_more):
        seen.questions.append(question.strip())
        return seen.yes

    monkeypatch.setattr("typer.prompt", prompt)
    monkeypatch.setattr("typer.confirm", confirm)
    return seen


def test_a_person_chooses_a_point_sees_the_obstacles_and_nothing_is_started(aws, two, asked):
    printed = type_here("recover", width=60)
    assert asked.questions == ["Which one (1 to 2)"]
    assert "★" in printed.out
    assert printed.code == 1
    assert "there is no plan" in printed.err or "It can't be carried out" in printed.out


def test_a_person_who_says_no_keeps_the_policy(two, asked):
    kept = type_here("policy remove files")
    assert (kept.code, kept.err) == (130, "error: stopped; nothing was started\n")
    assert asked.questions[0].startswith("Remove s3://")
    asked.yes = True
    assert type_here("policy remove files").code == 0


def test_where_there_is_no_point_nobody_is_asked_for_one(morning, asked):
    printed = type_here("recover")
    assert (printed.code, asked.questions) == (1, [])
    assert "no recovery point from which a server can be recovered" in printed.err


def test_a_file_of_more_input_is_read_and_what_is_no_input_is_refused(morning, tmp_path):
    file = tmp_path / "more.json"
    for text, words in {
        "[]": "is no JSON object",
        "{": "can't be read",
        '{"colour": 1}': "the input has a field 'colour'",
    }.items():
        file.write_text(text)
        printed = type_here("recover --dry-run --input", str(file))
        assert (printed.code, words in printed.err) == (2, True), text


def test_policies_are_checked_without_aws(tmp_path):
    environment = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    assert type_here("policy check", good_file(tmp_path), environment=environment).code == 0
    missing = type_here("policy check", str(tmp_path / "no.yaml"), environment=environment)
    assert (missing.code, "No such file" in missing.err) == (2, True)


def test_doctor_names_the_server_that_is_gone_and_who_gets_mails(aws, morning):
    server, lost = aws.servers.add("SERVER1"), "i-0123456789abcdef0"
    targets = f"[{{instance_id: {server.instance_id}}}, {{instance_id: {lost}}}]"
    morning.put("policies/shop.yaml", f"name: shop\ntargets: {targets}\n")
    sns = aws.client("sns")
    arn = sns.subscribe(TopicArn=morning.topic, Protocol="email", Endpoint="ops@example.com")["SubscriptionArn"]
    doctor = type_here("doctor --json")
    sns.unsubscribe(SubscriptionArn=arn)
    bad = {check["name"]: check["words"] for check in doctor.data["checks"] if not check["good"]}
    good = [check["words"] for check in doctor.data["checks"] if check["good"]]
    assert (doctor.code, bad) == (1, {"servers": f"policy shop: left out, EC2 does not know it: {lost}"})
    assert "ops@example.com is confirmed" in good
    assert any(server.instance_id in words and "is online" in words for words in good)


LATER = {"now": lambda: datetime.now(UTC) + timedelta(minutes=20)}


def in_force(aws, morning, name):
    key = {"pk": {"S": "policies"}, "sk": {"S": f"in-force#{name}"}}
    return aws.client("dynamodb").get_item(TableName=morning.outputs["TableName"], Key=key).get("Item"), key


def test_doctor_puts_a_policy_again_of_which_the_stack_has_not_heard(aws, morning, asked):
    server = aws.servers.add("SERVER1")
    morning.put_policy("lost", server)
    until(lambda: in_force(aws, morning, "lost")[0])
    aws.client("dynamodb").delete_item(TableName=morning.outputs["TableName"], Key=in_force(aws, morning, "lost")[1])
    assert not [check for check in type_here("doctor --json").data["checks"] if check["fix"]]
    [bad] = [check for check in type_here("doctor --json", **LATER).data["checks"] if check["fix"]]
    assert bad["words"] == "lost is not in force as its file says: the stack has not heard of the file"
    # Nobody agrees, so nothing is done.
    assert "✓ done" not in type_here("doctor --fix", **LATER).out
    put = f"Put s3://{morning.bucket}/policies/lost.yaml again as it is, so that the stack hears of it"
    assert asked.questions == [f"{bad['words']}. {put}"]
    assert in_force(aws, morning, "lost")[0] is None
    asked.yes = True
    said = type_here("doctor --fix", **LATER)
    assert (said.code, "✓ done: Put s3://" in said.out) == (1, True)
    until(lambda: in_force(aws, morning, "lost")[0])
    assert not [check for check in type_here("doctor --json", **LATER).data["checks"] if check["fix"]]


def test_doctor_has_a_new_link_sent_to_an_address_that_has_not_confirmed(aws, morning, monkeypatch):
    sns, address = aws.client("sns"), "late@example.com"
    monkeypatch.setattr("quiesce_cli.commands.doctor.subscribers", lambda _topic: [Subscriber(address, False)])

    def heard():
        found = sns.list_subscriptions_by_topic(TopicArn=morning.topic)["Subscriptions"]
        return [each["SubscriptionArn"] for each in found if each["Endpoint"] == address]

    unasked = type_here("doctor --fix --json")
    assert (unasked.code, unasked.out, "add --yes" in unasked.err, heard()) == (2, "", True, [])
    [check] = [check for check in type_here("doctor --fix --yes --json").data["checks"] if check["fix"]]
    assert (check["good"], check["fixed"]) == (False, True)
    assert check["fix"] == f"Have AWS send {address} a mail with a new link"
    [arn] = heard()
    sns.unsubscribe(SubscriptionArn=arn)


def test_doctor_subscribes_the_stacks_address_that_sns_has_forgotten_and_says_where_nothing_can_be_mended(
    aws, morning, monkeypatch
):
    nothing = type_here("doctor --fix --yes")
    assert (nothing.code, "Nothing of this can be mended from here." in nothing.out) == (1, True)
    found = Stack.found
    monkeypatch.setattr(Stack, "found", lambda chosen: replace(found(chosen), mail="ops@example.com"))
    [check] = [check for check in type_here("doctor --fix --yes --json").data["checks"] if check["fix"]]
    assert check["fixed"]
    assert check["words"] == "ops@example.com is the stack's MailAddress, and is not subscribed"
    [there] = aws.client("sns").list_subscriptions_by_topic(TopicArn=morning.topic)["Subscriptions"]
    aws.client("sns").unsubscribe(SubscriptionArn=there["SubscriptionArn"])


def test_an_operator_hears_that_a_subscription_is_the_deployers_and_a_policy_is_put_again_by_an_operator_alone(
    aws, morning, person, monkeypatch
):
    morning.put_policy("lost", aws.servers.add("SERVER1"))
    until(lambda: in_force(aws, morning, "lost")[0])
    aws.client("dynamodb").delete_item(TableName=morning.outputs["TableName"], Key=in_force(aws, morning, "lost")[1])
    monkeypatch.setattr("quiesce_cli.commands.doctor.subscribers", lambda _topic: [Subscriber("x@example.com", False)])
    policies = [morning.outputs[f"{kind}PolicyArn"] for kind in ("Reader", "Operator")]
    remedies = {}
    for name, arns in (("reads", policies[:1]), ("operates", policies)):
        checks = type_here(f"doctor --fix --yes --json {person(name, *arns)}", **LATER).data["checks"]
        remedies[name] = {check["name"]: (check["fixed"], check["remedy"]) for check in checks if check["fix"]}
    fixed, remedy = remedies["reads"]["policy"]
    assert not fixed
    assert "you may not s3:PutObject; have the managed policy of the stack's output OperatorPolicyArn" in remedy
    assert remedies["operates"]["policy"][0]
    for name in remedies:
        denied = "it could not be mended: you may not sns:Subscribe; have it done by whoever deploys the stack"
        assert remedies[name]["mails"] == (False, denied)


def test_what_is_mistyped_is_a_usage_error_with_the_command_that_helps(morning):
    for line, words in {
        "points --foo": "No such option: --foo",
        "poinst": "No such command 'poinst'",
        "show": "Missing argument 'RUN'",
        "points --limit 0": "Invalid value for '--limit'",
        "run files nonsense": "'nonsense' is not the id of an instance",
    }.items():
        printed = type_here(line)
        assert (printed.code, printed.out) == (2, ""), line
        assert words in printed.err.splitlines()[0]
        assert printed.err.splitlines()[1].startswith("remedy: ")


def test_an_error_of_our_own_is_a_line_and_no_traceback(morning, monkeypatch):
    monkeypatch.setattr("quiesce_cli.commands.status.read_policies", lambda _bucket: SimpleNamespace())
    printed = type_here("status")
    assert printed.code == 1
    assert re.match(r"error: quiesce failed by itself \(TypeError: ", printed.err)
    assert "Traceback" not in printed.err


class Person:
    """A user of the account with policies of the stack, and a profile in the credentials file."""

    def __init__(self, aws, file):
        self.iam, self.file = aws.client("iam"), file

    def __call__(self, name, *policy_arns, document=None):
        """Make the user, and return the option by which commands are theirs."""
        self.iam.create_user(UserName=name)
        for arn in policy_arns:
            self.iam.attach_user_policy(UserName=name, PolicyArn=arn)
        if document:
            self.iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(document))
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        with self.file.open("a") as file:
            file.write(f"[{name}]\naws_access_key_id = {key['AccessKeyId']}\n")
            file.write(f"aws_secret_access_key = {key['SecretAccessKey']}\n")
        return f"--profile {name}"

    def document_of(self, arn):
        version = self.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return self.iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


@pytest.fixture
def person(aws, tmp_path, monkeypatch):
    file = tmp_path / "people"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    return Person(aws, file)


CHANGING = {"policy put FILE": "s3:PutObject", "run files --detach": "states:StartExecution"}
CHANGING["policy remove files --yes"] = "s3:DeleteObject"
CHANGING |= {"hold run-0": "ec2:CreateTags", "release run-0": "ec2:DeleteTags"}
CHANGING["prune --dry-run"] = CHANGING["run files --detach"]
CHANGING["recover run-0 --dry-run"] = CHANGING["run files --detach"]


def said(line, profile, tmp_path):
    typed = filled(line, tmp_path).replace("run files", f"run files {STRANGER}")
    return type_here(f"{typed} {profile}")


def test_a_reader_can_look_at_everything_and_hears_which_right_a_change_needs(two, morning, person, tmp_path):
    profile = person("reader", morning.outputs["ReaderPolicyArn"])
    for line in COMMANDS:
        printed = said(line, profile, tmp_path)
        if line in CHANGING:
            remedy = (
                "remedy: have the managed policy of the stack's output OperatorPolicyArn attached to your user or role"
            )
            assert (printed.code, printed.err.splitlines()) == (3, [f"error: you may not {CHANGING[line]}", remedy]), (
                line
            )
        else:
            assert "you may not" not in printed.out + printed.err, line
            assert printed.code in (0, 1) or line == "follow run-0", line


def test_an_operator_can_do_all_of_it(two, morning, person, tmp_path):
    profile = person("operator", morning.outputs["ReaderPolicyArn"], morning.outputs["OperatorPolicyArn"])
    for line in CHANGING:
        printed = said(line, profile, tmp_path)
        assert "you may not" not in printed.out + printed.err, line
        assert printed.code in (0, 1), line


def test_a_person_without_rights_hears_of_each_command_which_one_is_missing(morning, person, tmp_path):
    profile = person("nobody")
    for line in ASKING:
        printed = said(line, profile, tmp_path)
        assert (printed.code, printed.err.splitlines()[0]) == (3, "error: you may not cloudformation:DescribeStacks")


# Where a right is needed that doctor does not need.
WITHOUT = {
    "dynamodb:GetItem": "policy next",
    "ec2:DescribeSnapshots": "points",
    "states:DescribeExecution": "follow run-0",
}
# The first is needed where a snapshot is gone: whether it is in the Recycle Bin is then not known, and no error.
# Of the second no test here sees the lack: nothing that these commands follow has a history to read.
SILENT = {"ec2:ListSnapshotsInRecycleBin", "states:GetExecutionHistory"}


def test_each_right_of_a_reader_is_needed_and_named_where_it_is_missing(two, morning, person, tmp_path):
    whole = person.document_of(morning.outputs["ReaderPolicyArn"])
    actions = sorted(
        {a for s in whole["Statement"] for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])}
    )
    morning.put("policies/shop.yaml", f"name: shop\ntargets: [{{instance_id: {two[0].instance_id}}}]\n")
    for number, action in enumerate(each for each in actions if each not in SILENT):
        document = {**whole, "Statement": [without(statement, action) for statement in whole["Statement"]]}
        document["Statement"] = [statement for statement in document["Statement"] if statement["Action"]]
        profile = person(f"lacks-{number}", document=document)
        line = WITHOUT.get(action, "doctor")
        printed = said(line, profile, tmp_path)
        assert f"you may not {action}" in printed.out + printed.err, (action, line)


def without(statement, action):
    actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
    return {**statement, "Action": [each for each in actions if each != action]}
