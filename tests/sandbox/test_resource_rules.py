"""Resources that AWS refuses and MiniStack takes: the sandbox refuses them, at creation and at an update."""

import importlib

import pytest

FUNCTION = {"Runtime": "python3.13", "Handler": "app.handler", "Role": "arn:aws:iam::123456789012:role/probe"}


@pytest.fixture
def handlers(aws):
    """CloudFormation's handlers, imported here because the sandbox starts before MiniStack's import."""
    return importlib.import_module("ministack.services.cloudformation.provisioners")._RESOURCE_HANDLERS


@pytest.mark.parametrize(
    ("logging", "words"),
    [
        ({"LogFormat": "JSON", "ApplicationLogLevel": "WARNING"}, "must be one of"),
        ({"LogFormat": "JSON", "SystemLogLevel": "ERROR"}, "must be one of"),
        ({"LogFormat": "Text", "ApplicationLogLevel": "WARN"}, "LogFormat is set to JSON"),
        ({"ApplicationLogLevel": "WARN"}, "LogFormat is set to JSON"),
    ],
)
def test_a_log_level_that_lambda_does_not_know_is_refused(handlers, logging, words):
    refused = FUNCTION | {"LoggingConfig": logging}
    with pytest.raises(ValueError, match=words):
        handlers["AWS::Lambda::Function"]["create"]("Probe", refused, "probe")
    with pytest.raises(ValueError, match=words):
        handlers["AWS::Lambda::Function"]["update"]("probe-Probe", FUNCTION, refused, "probe")


@pytest.mark.parametrize("network", [{"SubnetIds": ["subnet-01234567"]}, {"SecurityGroupIds": ["sg-01234567"]}])
def test_a_function_in_half_a_network_is_refused(handlers, network):
    with pytest.raises(ValueError, match="must coexist"):
        handlers["AWS::Lambda::Function"]["create"]("Probe", FUNCTION | {"VpcConfig": network}, "probe")


def test_a_queue_with_two_kinds_of_encryption_is_refused(handlers):
    both = {"KmsMasterKeyId": "alias/aws/sqs", "SqsManagedSseEnabled": True}
    with pytest.raises(ValueError, match="one type of server-side encryption"):
        handlers["AWS::SQS::Queue"]["create"]("Queue", both, "probe")


def test_a_bucket_with_objects_is_not_deleted(aws, handlers):
    name, _ = handlers["AWS::S3::Bucket"]["create"]("Full", {}, "probe")
    aws.client("s3").put_object(Bucket=name, Key="records/run-1.json", Body=b"{}")
    with pytest.raises(ValueError, match="not empty"):
        handlers["AWS::S3::Bucket"]["delete"](name, {})
    aws.client("s3").delete_object(Bucket=name, Key="records/run-1.json")
    handlers["AWS::S3::Bucket"]["delete"](name, {})
    assert name not in [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]
