"""What retention reads and changes: recovery points in the table, rules, and snapshots in EC2."""
