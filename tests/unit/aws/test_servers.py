"""What a backup keeps of a server for its recovery, as EC2 describes it."""

from typing import Any

from quiesce.aws.servers import instance_of

DESCRIBED: Any = {
    "InstanceId": "i-0123456789abcdef0",
    "State": {"Name": "running"},
    "BlockDeviceMappings": [],
    "Tags": [
        {"Key": key, "Value": "x"} for key in ("Name", "Owner", "aws:cloudformation:stack-name", "quiesce:recovery")
    ],
    "MetadataOptions": {"State": "applied", "HttpTokens": "required", "HttpPutResponseHopLimit": 2},
    "Placement": {"AvailabilityZone": "eu-central-1a", "Tenancy": "host", "HostId": "h-1", "GroupName": "cluster"},
    "CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 1, "AmdSevSnp": "disabled"},
    "NetworkInterfaces": [
        {"NetworkInterfaceId": "eni-1", "Attachment": {"DeviceIndex": 0}},
        {"NetworkInterfaceId": "eni-2", "Attachment": {"DeviceIndex": 1}},
    ],
}


def test_a_backup_records_what_a_recovery_gives_the_new_server_or_leaves_to_a_person() -> None:
    source = instance_of(DESCRIBED).source
    assert source.tags == {"Name": "x", "Owner": "x"}
    assert source.metadata_options == {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
    assert (source.tenancy, source.host_id, source.placement_group) == ("host", "h-1", "cluster")
    assert source.cpu_options == {"CoreCount": 1, "ThreadsPerCore": 1}
    assert source.interfaces == ["eni-2"]
