"""The calls to AWS, one module per subject: the only importer of botocore and boto3."""
