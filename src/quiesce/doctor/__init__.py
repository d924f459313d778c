"""As what a server can be backed up, and what it lacks: pure judgement of what EC2, its agent and it itself say."""
