"""Make EventBridge Scheduler hold what the policies' files say."""
