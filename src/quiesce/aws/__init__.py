"""The only importer of botocore and boto3: one module a subject."""
