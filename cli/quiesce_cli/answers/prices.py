"""Public prices, in US dollars, of us-east-1; other Regions differ a little. Those of EBS are the product's own."""

from quiesce.prices import GET_DOLLARS, LIST_DOLLARS, PUT_DOLLARS

# Sources of those of S3, whose own page fills its prices in by a script, two others' pages that agree
# (c3x.dev, "S3 request fees explained"; cloudkaramchari.com, "Understanding per 1,000 PUT, COPY, POST, or LIST").
# Standard: puts and lists cost the same, gets less.
S3_PUT, S3_GET = 0.005 / 1000, 0.0004 / 1000

# By the calls that records count.
CALLS = {
    "ebs:ListSnapshotBlocks": LIST_DOLLARS,
    "ebs:ListChangedBlocks": LIST_DOLLARS,
    "ebs:GetSnapshotBlock": GET_DOLLARS,
    "ebs:PutSnapshotBlock": PUT_DOLLARS,
    "s3:PutObject": S3_PUT,
    "s3:ListObjectsV2": S3_PUT,
    "s3:GetObject": S3_GET,
}
# boto3's services whose calls cost nothing by themselves.
FREE = ("ec2:", "ssm:")
NOT_COUNTED = (
    "what changed between snapshots, which each later one stores beside the first; and EBS stores no empty blocks, "
    "so that the bill may be higher or lower",
    "Lambda, Step Functions, DynamoDB, mails and logs: records count no time and no transitions",
    "transfer between Regions or accounts, restores from the archive",
)
