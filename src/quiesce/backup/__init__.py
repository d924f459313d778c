"""What the backup machine decides; pure."""
