"""What the recover machine decides; pure."""
