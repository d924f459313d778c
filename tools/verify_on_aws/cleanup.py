"""Delete all that a verification made, by its tag, its stack's tag and its names; list what could not be deleted.

It needs no memory of the run: after a crash it does the same by the verification's name alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tools.verify_on_aws.calls import REFUSED, TookTooLong, Whatever
from tools.verify_on_aws.session import Verification
from tools.verify_on_aws.steps_rights import key_alias, role_name
from tools.verify_on_aws.steps_ssm import document_stack
from tools.verify_on_aws.steps_watch import topic_name

END_LIMIT_S = 1200.0
LIVING = ("pending", "running", "stopping", "stopped")
GONE = {"NoSuchBucket", "NoSuchEntity", "NotFoundException", "ResourceNotFoundException", "StackNotFound"}


@dataclass
class CleanUp:
    """Deletes; ``left`` are the resources that exist afterwards, with the reason."""

    it: Verification
    left: list[str] = field(default_factory=list)

    def run(self) -> list[str]:
        """Delete everything in an order in which it can be deleted; return what is left."""
        self._try("the stack's executions", self._stop_executions)
        for filters in (self.it.ours(), self.it.of_stack()):
            self._try("servers", lambda f=filters: self._terminate(f))  # type: ignore[misc]
            self._try("images", lambda f=filters: self._deregister(f))  # type: ignore[misc]
            self._try("volumes", lambda f=filters: self._delete_volumes(f))  # type: ignore[misc]
            self._try("security groups", lambda f=filters: self._delete_groups(f))  # type: ignore[misc]
        # Before the stack, whose policies it has.
        self._try(f"role {role_name(self.it.name)}", lambda: self._delete_role(role_name(self.it.name)))
        for stack in (self.it.name, document_stack(self.it.name)):
            self._try(f"stack {stack}", lambda s=stack: self._delete_stack(s))  # type: ignore[misc]
        # Once no function of the stack makes another one.
        for filters in (self.it.ours(), self.it.of_stack()):
            self._try("snapshots", lambda f=filters: self._delete_snapshots(f))  # type: ignore[misc]
        self._try("buckets", self._delete_buckets)
        self._try("tables", self._delete_tables)
        self._try(f"instance profile {self.it.name}", self._delete_profile)
        self._try(f"role {self.it.name}", lambda: self._delete_role(self.it.name))
        self._try(f"key {key_alias(self.it.name)}", self._delete_key)
        self._try(f"topic {topic_name(self.it.name)}", self._delete_topic)
        self._look_for_rest()
        return self.left

    def _try(self, what: str, delete: Callable[[], object]) -> None:
        try:
            delete()
        except (*REFUSED, TookTooLong) as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
            if code not in GONE and "does not exist" not in str(error):
                self.left.append(f"{what}: {error}")

    def _stop_executions(self) -> None:
        for resource in self.it.calls("cloudformation:DescribeStackResources", StackName=self.it.name)[
            "StackResources"
        ]:
            machine = str(resource["PhysicalResourceId"])
            if not self.it.calls.dry and resource["ResourceType"] != "AWS::StepFunctions::StateMachine":
                continue
            running = self.it.calls("stepfunctions:ListExecutions", stateMachineArn=machine, statusFilter="RUNNING")
            for execution in running["executions"]:
                self.it.calls("stepfunctions:StopExecution", executionArn=str(execution["executionArn"]))

    def _instances(self, filters: Any) -> list[str]:
        alive = [*filters, {"Name": "instance-state-name", "Values": list(LIVING)}]
        found = self.it.calls("ec2:DescribeInstances", Filters=alive)["Reservations"]
        return [str(i["InstanceId"]) for reservation in found for i in reservation["Instances"]]

    def _terminate(self, filters: Any) -> None:
        ids = self._instances(filters)
        if not ids:
            return
        self.it.calls("ec2:TerminateInstances", InstanceIds=ids)
        self.it.calls.until(
            "ec2:DescribeInstances",
            lambda found: all(
                i["State"]["Name"] == "terminated" for r in found["Reservations"] for i in r["Instances"]
            ),
            limit_s=END_LIMIT_S,
            InstanceIds=ids,
        )

    def _deregister(self, filters: Any) -> None:
        for image in self.it.calls("ec2:DescribeImages", Owners=["self"], Filters=filters)["Images"]:
            self.it.calls("ec2:DeregisterImage", ImageId=str(image["ImageId"]), DeleteAssociatedSnapshots=True)

    def _delete_volumes(self, filters: Any) -> None:
        for volume in self.it.calls("ec2:DescribeVolumes", Filters=filters)["Volumes"]:
            volume_id = str(volume["VolumeId"])
            if isinstance(volume, Whatever) or volume["State"] == "in-use":
                self.it.calls("ec2:DetachVolume", VolumeId=volume_id)
            self.it.calls.until(
                "ec2:DescribeVolumes",
                lambda found: found["Volumes"][0]["State"] != "in-use",
                limit_s=END_LIMIT_S,
                VolumeIds=[volume_id],
            )
            self.it.calls("ec2:DeleteVolume", VolumeId=volume_id)

    def _delete_groups(self, filters: Any) -> None:
        for group in self.it.calls("ec2:DescribeSecurityGroups", Filters=filters)["SecurityGroups"]:
            self.it.calls("ec2:DeleteSecurityGroup", GroupId=str(group["GroupId"]))

    def _delete_snapshots(self, filters: Any) -> None:
        for snapshot in self.it.calls("ec2:DescribeSnapshots", OwnerIds=["self"], Filters=filters)["Snapshots"]:
            self.it.calls("ec2:DeleteSnapshot", SnapshotId=str(snapshot["SnapshotId"]))

    def _delete_stack(self, stack: str) -> None:
        stack_id = str(self.it.calls("cloudformation:DescribeStacks", StackName=stack)["Stacks"][0]["StackId"])
        self.it.calls("cloudformation:DeleteStack", StackName=stack)
        ended = self.it.calls.until(
            "cloudformation:DescribeStacks",
            lambda found: not found["Stacks"][0]["StackStatus"].endswith("IN_PROGRESS"),
            limit_s=END_LIMIT_S,
            StackName=stack_id,
        )
        if not self.it.calls.dry and ended["Stacks"][0]["StackStatus"] != "DELETE_COMPLETE":
            self.left.append(f"stack {stack}: {ended['Stacks'][0]['StackStatus']}")

    def _named(self, names: Any) -> list[str]:
        """Return those that begin with the verification's own name, as CloudFormation names what it makes."""
        return [str(name) for name in names if self.it.calls.dry or str(name).startswith(f"{self.it.name}-")]

    def _delete_buckets(self) -> None:
        """Also those that the stack retained."""
        for bucket in self._named(each["Name"] for each in self.it.calls("s3:ListBuckets")["Buckets"]):
            self._try(f"bucket {bucket}", lambda b=bucket: self._delete_bucket(b))  # type: ignore[misc]

    def _delete_tables(self) -> None:
        """Also the one that the stack retained."""
        for table in self._named(self.it.calls("dynamodb:ListTables")["TableNames"]):
            self._try(f"table {table}", lambda t=table: self.it.calls("dynamodb:DeleteTable", TableName=t))  # type: ignore[misc]

    def _delete_bucket(self, bucket: str) -> None:
        while objects := self._versions(bucket):
            self.it.calls("s3:DeleteObjects", Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            if self.it.calls.dry:
                break
        self.it.calls("s3:DeleteBucket", Bucket=bucket)

    def _versions(self, bucket: str) -> list[dict[str, str]]:
        found = self.it.calls("s3:ListObjectVersions", Bucket=bucket, MaxKeys=1000)
        every = [*found.get("Versions", []), *found.get("DeleteMarkers", [])]
        return [{"Key": str(each["Key"]), "VersionId": str(each["VersionId"])} for each in every]

    def _delete_profile(self) -> None:
        name = self.it.name
        for role in self.it.calls("iam:GetInstanceProfile", InstanceProfileName=name)["InstanceProfile"]["Roles"]:
            self.it.calls("iam:RemoveRoleFromInstanceProfile", InstanceProfileName=name, RoleName=str(role["RoleName"]))
        self.it.calls("iam:DeleteInstanceProfile", InstanceProfileName=name)

    def _delete_role(self, name: str) -> None:
        for policy in self.it.calls("iam:ListAttachedRolePolicies", RoleName=name)["AttachedPolicies"]:
            self.it.calls("iam:DetachRolePolicy", RoleName=name, PolicyArn=str(policy["PolicyArn"]))
        self.it.calls("iam:DeleteRole", RoleName=name)

    def _delete_topic(self) -> None:
        """Also its alarm; CloudWatch takes no name that is not there for an error."""
        name = topic_name(self.it.name)
        self.it.calls("cloudwatch:DeleteAlarms", AlarmNames=[name])
        token: dict[str, str] = {}
        while True:
            page = self.it.calls("sns:ListTopics", **token)
            for topic in page["Topics"]:
                if self.it.calls.dry or str(topic["TopicArn"]).endswith(f":{name}"):
                    self.it.calls("sns:DeleteTopic", TopicArn=str(topic["TopicArn"]))
            if self.it.calls.dry or not page.get("NextToken"):
                return
            token = {"NextToken": str(page["NextToken"])}

    def _delete_key(self) -> None:
        """KMS deletes a key after seven days at the earliest, and charges nothing for it until then."""
        alias = key_alias(self.it.name)
        key = str(self.it.calls("kms:DescribeKey", KeyId=alias)["KeyMetadata"]["KeyId"])
        self.it.calls("kms:ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
        self.it.calls("kms:DeleteAlias", AliasName=alias)

    def _look_for_rest(self) -> None:
        """Look once more for everything with our tags: what is left is told, whatever the reason."""
        for what in self._rest():
            if not self.it.calls.dry:
                self.left.append(f"{what} still exists")

    def _rest(self) -> Iterator[str]:
        for filters in (self.it.ours(), self.it.of_stack()):
            yield from self._instances(filters)
            for operation, listed, key in (
                ("DescribeVolumes", "Volumes", "VolumeId"),
                ("DescribeSecurityGroups", "SecurityGroups", "GroupId"),
                ("DescribeSnapshots", "Snapshots", "SnapshotId"),
                ("DescribeImages", "Images", "ImageId"),
            ):
                # Else EC2 goes through every public image.
                owners = {"Owners": ["self"]} if operation == "DescribeImages" else {}
                found = self.it.calls(f"ec2:{operation}", Filters=filters, **owners)[listed]
                yield from (str(each[key]) for each in found)
