"""quiesce: application-consistent backup and recovery for Windows servers on EC2."""
