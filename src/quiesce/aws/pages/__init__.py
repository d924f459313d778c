"""What pages are made of, read out of bucket, table and EC2."""
