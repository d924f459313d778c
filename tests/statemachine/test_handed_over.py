"""The end of a recovery: what account and mail hand over, and what the new server has of the old one."""

from tests.statemachine.recoveries import assert_recovered, back_up
from tests.support.factories.policy import a_policy
from tests.support.wire import refused


def test_account_and_mail_hand_over_the_server(backed, cloud):
    run = backed.recover()
    assert_recovered(backed, run)
    handed, new = run.output["hand_over"], run.output["instance_id"]
    [described] = cloud.ec2.describe_instances(InstanceIds=[new])["Reservations"][0]["Instances"]
    assert handed["server"] == f"SERVER1 ({new})"
    assert handed["private_ip"] == described["PrivateIpAddress"]
    assert handed["console"].endswith(f"#InstanceDetails:instanceId={new}")
    assert {task["state"] for task in handed["checklist"]} == {"done", "not needed", "yours"}
    lines = cloud.mails()[-1][1].splitlines()
    assert f"Server:      SERVER1 ({new})" in lines
    assert f"Session:     {handed['session_manager']}" in lines
    [old] = [task for task in handed["checklist"] if task["what"] == "old server"]
    assert f"Yours:       old server: {old['words']}" in lines


def test_the_line_of_a_policy_that_still_names_the_old_server_is_in_the_account(cloud, machine, server):
    policy = a_policy(server.instance_id)
    cloud.put_policy(policy)
    backed = back_up(cloud, machine, server, policy)
    [task] = [t for t in backed.recover().output["hand_over"]["checklist"] if t["what"].startswith("policies")]
    assert task["state"] == "yours"
    assert f"s3://quiesce-bucket/policies/{policy['name']}.yaml, line 1: " in task["words"]
    assert server.instance_id in task["words"]


def test_policies_that_cannot_be_read_do_not_fail_a_recovery(backed, machine):
    machine.wire.on("s3:ListObjectsV2", refused("AccessDenied", 403))
    run = backed.recover()
    assert_recovered(backed, run)
    [task] = [t for t in run.output["hand_over"]["checklist"] if t["what"].startswith("policies")]
    assert task["words"].startswith("they can't be read (s3:ListBucket: ")


def test_the_new_server_has_the_tags_and_metadata_options_of_the_old_one(cloud, machine, server):
    tags = [{"Key": "Owner", "Value": "finance"}, {"Key": "quiesce:recovery", "Value": "an earlier one"}]
    cloud.ec2.create_tags(Resources=[server.instance_id], Tags=tags)
    cloud.ec2.modify_instance_metadata_options(InstanceId=server.instance_id, HttpTokens="required")
    backed = back_up(cloud, machine, server, a_policy(server.instance_id))
    recovered = assert_recovered(backed, backed.recover())
    found = {tag["Key"]: tag["Value"] for tag in recovered["Tags"]}
    assert (found["Owner"], found["quiesce:recovery"]) == ("finance", "drill-7")
    assert recovered["MetadataOptions"]["HttpTokens"] == "required"
