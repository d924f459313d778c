"""What the doctor reads in EC2, IAM and the table, and keeps of each server."""
