"""What EventBridge Scheduler has to hold for the policies' files, and whether a scheduled start may go on; pure."""
