"""What a backup asks of AWS besides: AWS's own document for VSS."""
